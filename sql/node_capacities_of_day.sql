-- What each node could have given on a day: the capacity of the hours in which
-- it was seen, by the pods that ran on it.
--
-- Reads  reporting_ocpusagelineitem_pod_staging  one row per generation, hour, namespace and pod
-- Reads  gristmill_name                          one row per name
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- Returns one row per node. The blank node of unplaced pods is one of them: it
-- takes part in the cluster's capacity.

CREATE OR REPLACE FUNCTION node_capacities_of_day(usage_day date, generations bigint[])
RETURNS TABLE (node text, cpu_core_hours_e12 numeric, memory_gigabyte_hours_e12 numeric)
LANGUAGE plpgsql
STABLE
-- As in collect_daily_pods.
SET enable_seqscan = off
SET enable_sort = off
SET enable_nestloop = off
SET parallel_setup_cost = 0
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    RETURN QUERY
    WITH node_hours AS (
        -- Every pod of a node repeats the node's capacity: one value an hour.
        SELECT
            staged.node_name_id,
            max(staged.node_capacity_cpu_core_hours_e12) AS cpu_core_hours_e12,
            max(staged.node_capacity_memory_gigabyte_hours_e12) AS memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
        GROUP BY staged.interval_start, staged.node_name_id
    ),
    node_days AS (
        -- One row per node.
        SELECT
            hour.node_name_id,
            COALESCE(sum(hour.cpu_core_hours_e12), 0) AS cpu_core_hours_e12,
            COALESCE(sum(hour.memory_gigabyte_hours_e12), 0) AS memory_gigabyte_hours_e12
        FROM node_hours AS hour
        GROUP BY hour.node_name_id
    )
    SELECT
        node.name::text,
        day.cpu_core_hours_e12,
        day.memory_gigabyte_hours_e12
    FROM node_days AS day
    LEFT JOIN gristmill_name AS node
        ON node.id = day.node_name_id;
END
$$;
