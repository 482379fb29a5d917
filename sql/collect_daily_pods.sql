-- Sums a day's staged hours of pods. Whatever needs pods afterwards starts from
-- these sums, so that the hours are folded once.
--
-- Reads   reporting_ocpusagelineitem_pod_staging  one row per generation, hour, namespace and pod
-- Reads   gristmill_name                          one row per name
-- Writes  pg_temp.daily_pods                      one row per namespace, node, pod, own label set and machine; see make_daily_tables
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- The statement that is made for one sum or the other is given
-- $1  the generations
-- $2  the first instant of the day
-- $3  the first instant behind it

CREATE OR REPLACE FUNCTION collect_daily_pods(usage_day date, generations bigint[])
RETURNS void
LANGUAGE plpgsql
-- Nobody has counted the rows that were just loaded, and the planner guesses a
-- few: it would read all of the month, and sort instead of hash.
SET enable_seqscan = off
SET enable_sort = off
-- Two processors fold the hours faster than one, and sums of whole numbers do not
-- depend on who adds them. Handing over a row has its cost, so that each hands over
-- sums and not hours.
SET parallel_setup_cost = 0
-- Some thousand rows tell well enough how many there are of what.
SET default_statistics_target = 10
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
    -- %1$I is what sums up. By ids, so that names are looked up once a day and not
    -- once an hour. Postgres has several processes fold for a table that it makes, and
    -- not for one that is there.
    folded CONSTANT text := $fold$
        CREATE TEMPORARY TABLE pod_sums ON COMMIT DROP AS
        SELECT
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id,
            COALESCE(max(staged.node_capacity_cpu_cores_e12), 0) AS node_capacity_cpu_cores_e12,
            COALESCE(max(staged.node_capacity_memory_gigabytes_e12), 0) AS node_capacity_memory_gigabytes_e12,
            COALESCE(%1$I(staged.pod_usage_cpu_core_hours_e12), 0) AS pod_usage_cpu_core_hours_e12,
            COALESCE(%1$I(staged.pod_request_cpu_core_hours_e12), 0) AS pod_request_cpu_core_hours_e12,
            COALESCE(%1$I(staged.pod_limit_cpu_core_hours_e12), 0) AS pod_limit_cpu_core_hours_e12,
            COALESCE(%1$I(staged.pod_effective_usage_cpu_core_hours_e12), 0)
                AS pod_effective_usage_cpu_core_hours_e12,
            COALESCE(%1$I(staged.pod_usage_memory_gigabyte_hours_e12), 0) AS pod_usage_memory_gigabyte_hours_e12,
            COALESCE(%1$I(staged.pod_request_memory_gigabyte_hours_e12), 0)
                AS pod_request_memory_gigabyte_hours_e12,
            COALESCE(%1$I(staged.pod_limit_memory_gigabyte_hours_e12), 0) AS pod_limit_memory_gigabyte_hours_e12,
            COALESCE(%1$I(staged.pod_effective_usage_memory_gigabyte_hours_e12), 0)
                AS pod_effective_usage_memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        WHERE
            staged.generation = ANY ($1)
            AND staged.interval_start >= $2
            AND staged.interval_start < $3
        GROUP BY
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id
    $fold$;
BEGIN
    BEGIN
        EXECUTE format(folded, 'sum_of_bigint') USING generations, day_start, day_end;
    EXCEPTION
        -- Usage that nobody has, but a report can say.
        WHEN numeric_value_out_of_range THEN
            EXECUTE format(folded, 'sum') USING generations, day_start, day_end;
            ALTER TABLE pg_temp.daily_pods
                ALTER COLUMN pod_usage_cpu_core_hours_e12 TYPE numeric,
                ALTER COLUMN pod_request_cpu_core_hours_e12 TYPE numeric,
                ALTER COLUMN pod_limit_cpu_core_hours_e12 TYPE numeric,
                ALTER COLUMN pod_effective_usage_cpu_core_hours_e12 TYPE numeric,
                ALTER COLUMN pod_usage_memory_gigabyte_hours_e12 TYPE numeric,
                ALTER COLUMN pod_request_memory_gigabyte_hours_e12 TYPE numeric,
                ALTER COLUMN pod_limit_memory_gigabyte_hours_e12 TYPE numeric,
                ALTER COLUMN pod_effective_usage_memory_gigabyte_hours_e12 TYPE numeric;
    END;

    INSERT INTO pg_temp.daily_pods (
        namespace,
        node,
        pod,
        pod_labels_id,
        resource_id,
        node_capacity_cpu_cores_e12,
        node_capacity_memory_gigabytes_e12,
        pod_usage_cpu_core_hours_e12,
        pod_request_cpu_core_hours_e12,
        pod_limit_cpu_core_hours_e12,
        pod_effective_usage_cpu_core_hours_e12,
        pod_usage_memory_gigabyte_hours_e12,
        pod_request_memory_gigabyte_hours_e12,
        pod_limit_memory_gigabyte_hours_e12,
        pod_effective_usage_memory_gigabyte_hours_e12
    )
    SELECT
        namespace.name,
        node.name,
        summed.pod,
        summed.pod_labels_id,
        resource.name,
        summed.node_capacity_cpu_cores_e12,
        summed.node_capacity_memory_gigabytes_e12,
        summed.pod_usage_cpu_core_hours_e12,
        summed.pod_request_cpu_core_hours_e12,
        summed.pod_limit_cpu_core_hours_e12,
        summed.pod_effective_usage_cpu_core_hours_e12,
        summed.pod_usage_memory_gigabyte_hours_e12,
        summed.pod_request_memory_gigabyte_hours_e12,
        summed.pod_limit_memory_gigabyte_hours_e12,
        summed.pod_effective_usage_memory_gigabyte_hours_e12
    FROM pg_temp.pod_sums AS summed
    LEFT JOIN gristmill_name AS namespace
        ON namespace.id = summed.namespace_name_id
    LEFT JOIN gristmill_name AS node
        ON node.id = summed.node_name_id
    LEFT JOIN gristmill_name AS resource
        ON resource.id = summed.resource_id_name_id;

    DROP TABLE pg_temp.pod_sums;
    ANALYZE pg_temp.daily_pods (namespace, node, pod, resource_id, pod_labels_id);
END
$$;
