-- Adds up the daily summary of some days by namespace, for people to look at.
--
-- Reads  reporting_ocpusagelineitem_daily_summary  one row per contribution
--
-- $1  source_uuids  uuid[]  the source of each day
-- $2  days          date[]  the days
--
-- Returns one row per namespace, the one that CPU is charged most to first.

WITH days AS (
    -- A source may have several days, and a day several sources.
    SELECT
        source_uuid,
        day
    FROM unnest($1::uuid[], $2::date[]) AS asked (source_uuid, day)
)
SELECT
    COALESCE(summary.namespace, '') AS namespace,
    count(*) AS rows,
    COALESCE(sum(summary.pod_usage_cpu_core_hours), 0)::float8 AS usage_cpu_core_hours,
    COALESCE(sum(summary.pod_effective_usage_cpu_core_hours), 0)::float8 AS effective_cpu_core_hours,
    COALESCE(sum(summary.pod_effective_usage_memory_gigabyte_hours), 0)::float8
        AS effective_memory_gigabyte_hours,
    COALESCE(sum(summary.persistentvolumeclaim_usage_gigabyte_months), 0)::float8
        AS volume_usage_gigabyte_months
FROM reporting_ocpusagelineitem_daily_summary AS summary
INNER JOIN days
    ON summary.source_uuid = days.source_uuid
    AND summary.usage_start = days.day
GROUP BY COALESCE(summary.namespace, '')
ORDER BY
    effective_cpu_core_hours DESC,
    volume_usage_gigabyte_months DESC,
    namespace;
