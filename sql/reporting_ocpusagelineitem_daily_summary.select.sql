-- Shows the daily summary of some days of a source.
--
-- Reads  reporting_ocpusagelineitem_daily_summary  one row per contribution
--
-- $1  source_uuid  uuid    the source
-- $2  days         date[]  the days

SELECT
    usage_start,
    data_source,
    namespace,
    node,
    persistentvolumeclaim,
    all_labels::text AS labels,
    pod_usage_cpu_core_hours::float8 AS usage_cpu_core_hours,
    pod_request_cpu_core_hours::float8 AS request_cpu_core_hours,
    pod_effective_usage_cpu_core_hours::float8 AS effective_cpu_core_hours,
    pod_effective_usage_memory_gigabyte_hours::float8 AS effective_memory_gigabyte_hours,
    node_capacity_cpu_core_hours::float8 AS node_capacity_cpu_core_hours,
    persistentvolumeclaim_capacity_gigabyte_months::float8 AS capacity_gigabyte_months,
    persistentvolumeclaim_usage_gigabyte_months::float8 AS usage_gigabyte_months
FROM reporting_ocpusagelineitem_daily_summary
WHERE
    source_uuid = $1
    AND usage_start = ANY ($2::date[])
ORDER BY
    usage_start,
    data_source,
    namespace,
    node,
    persistentvolumeclaim,
    labels;
