-- Adds up the daily summary of some days of a source, to tell what a change did.
--
-- Reads  reporting_ocpusagelineitem_daily_summary  one row per contribution
--
-- $1  source_uuid  uuid    the source
-- $2  days         date[]  the days
--
-- Returns one row per day that has any. What nodes have unused is among the rows
-- and not among the sums, where it would hide a change of use.

WITH rows AS (
    -- What we made of usage; rows that come from cloud bills are not ours.
    SELECT
        summary.*,
        COALESCE(summary.namespace, '') IN ('Platform unallocated', 'Worker unallocated') AS unallocated
    FROM reporting_ocpusagelineitem_daily_summary AS summary
    WHERE
        summary.source_uuid = $1
        AND summary.usage_start = ANY ($2::date[])
        AND is_usage(summary.infrastructure_raw_cost)
)
SELECT
    usage_start AS day,
    count(*) AS rows,
    COALESCE(sum((
        SELECT count(*)
        FROM jsonb_object_keys(rows.all_labels)
    )), 0)::bigint AS labels,
    COALESCE(sum(pod_usage_cpu_core_hours) FILTER (WHERE NOT unallocated), 0)::float8
        AS usage_cpu_core_hours,
    COALESCE(sum(pod_effective_usage_cpu_core_hours) FILTER (WHERE NOT unallocated), 0)::float8
        AS effective_cpu_core_hours,
    COALESCE(sum(pod_effective_usage_memory_gigabyte_hours) FILTER (WHERE NOT unallocated), 0)::float8
        AS effective_memory_gigabyte_hours,
    COALESCE(sum(persistentvolumeclaim_usage_gigabyte_months), 0)::float8
        AS volume_usage_gigabyte_months
FROM rows
GROUP BY usage_start
ORDER BY usage_start;
