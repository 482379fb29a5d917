-- What a day's pods say of the nodes that they ran on: what each could have given,
-- which is the capacity of the hours in which it was seen, and its role.
--
-- Reads  reporting_ocpusagelineitem_pod_staging        one row per generation, hour, namespace and pod
-- Reads  reporting_ocpusagelineitem_node_hour_staging  one row or several per generation, hour and node
-- Reads  gristmill_name                                one row per name
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- Returns one row per node. The blank node of unplaced pods is one of them: it
-- takes part in the cluster's capacity.

CREATE OR REPLACE FUNCTION node_capacities_of_day(usage_day date, generations bigint[])
RETURNS TABLE (
    node text,
    cpu_core_hours_e12 numeric,
    memory_gigabyte_hours_e12 numeric,
    node_role text
)
LANGUAGE plpgsql
STABLE
-- As in collect_daily_pods.
SET enable_seqscan = off
SET enable_sort = off
SET parallel_setup_cost = 0
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    RETURN QUERY
    WITH node_role_hours AS (
        -- Every pod of a node repeats what is known of it: few values an hour.
        SELECT
            staged.interval_start,
            staged.node_name_id,
            staged.node_role,
            max(staged.node_capacity_cpu_core_hours_e12) AS cpu_core_hours_e12,
            max(staged.node_capacity_memory_gigabyte_hours_e12) AS memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
        GROUP BY
            staged.interval_start,
            staged.node_name_id,
            staged.node_role
        UNION ALL
        SELECT
            part.interval_start,
            part.node_name_id,
            part.node_role,
            part.node_capacity_cpu_core_hours_e12,
            part.node_capacity_memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_node_hour_staging AS part
        WHERE
            part.generation = ANY (generations)
            AND part.interval_start >= day_start
            AND part.interval_start < day_end
    ),
    node_hours AS (
        -- One value an hour.
        SELECT
            hour.node_name_id,
            -- A role that we do not know is as good as none.
            max(hour.node_role) FILTER (WHERE hour.node_role IN ('master', 'infra', 'worker')) AS node_role,
            max(hour.cpu_core_hours_e12) AS cpu_core_hours_e12,
            max(hour.memory_gigabyte_hours_e12) AS memory_gigabyte_hours_e12
        FROM node_role_hours AS hour
        GROUP BY hour.interval_start, hour.node_name_id
    ),
    node_days AS (
        -- One row per node.
        SELECT
            hour.node_name_id,
            max(hour.node_role) AS node_role,
            COALESCE(sum(hour.cpu_core_hours_e12), 0) AS cpu_core_hours_e12,
            COALESCE(sum(hour.memory_gigabyte_hours_e12), 0) AS memory_gigabyte_hours_e12
        FROM node_hours AS hour
        GROUP BY hour.node_name_id
    )
    SELECT
        node.name::text,
        day.cpu_core_hours_e12,
        day.memory_gigabyte_hours_e12,
        day.node_role
    FROM node_days AS day
    LEFT JOIN gristmill_name AS node
        ON node.id = day.node_name_id;
END
$$;
