-- Puts together what a day's rows need of their nodes: capacity, role and labels.
--
-- Reads   node_capacities_of_day                          one row per node
-- Reads   reporting_ocpusagelineitem_node_labels_staging  one row per generation, hour and node
-- Writes  pg_temp.daily_nodes                             one row per node with pods, the blank one included; see make_daily_tables
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- The labels are those of the node's last hour, so that a label that changes at
-- noon does not count the day twice.

CREATE OR REPLACE FUNCTION collect_daily_nodes(usage_day date, generations bigint[])
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    WITH staged_labels AS NOT MATERIALIZED (
        SELECT
            staged.node,
            staged.interval_start,
            staged.node_labels_id,
            staged.node_role_label,
            staged.architecture
        FROM reporting_ocpusagelineitem_node_labels_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
    ),
    last_labels AS (
        -- An hour with two sets is a fault of the report: any rule will do that
        -- is always the same.
        SELECT DISTINCT ON (staged.node)
            staged.node,
            label_set.labels,
            staged.node_role_label,
            staged.architecture
        FROM staged_labels AS staged
        LEFT JOIN gristmill_label_set AS label_set
            ON label_set.id = staged.node_labels_id
        -- Only the labels of one hour are looked up and put in order. The planner, which
        -- guesses a few rows, makes no join of what is asked to be true.
        WHERE (
            (staged.node, staged.interval_start) IN (
                SELECT
                    hour.node,
                    max(hour.interval_start)
                FROM staged_labels AS hour
                GROUP BY hour.node
            )
        ) IS TRUE
        ORDER BY
            staged.node,
            label_set.labels::text COLLATE "C" DESC NULLS LAST,
            staged.node_role_label COLLATE "C" DESC NULLS LAST,
            staged.architecture COLLATE "C" DESC NULLS LAST
    )
    INSERT INTO pg_temp.daily_nodes (
        node,
        cpu_core_hours_e12,
        memory_gigabyte_hours_e12,
        node_role,
        labels,
        node_role_label,
        architecture
    )
    SELECT
        capacity.node,
        capacity.cpu_core_hours_e12,
        capacity.memory_gigabyte_hours_e12,
        capacity.node_role,
        COALESCE(last.labels, '{}') AS labels,
        last.node_role_label,
        last.architecture
    FROM node_capacities_of_day(usage_day, generations) AS capacity
    LEFT JOIN last_labels AS last
        ON last.node = capacity.node;
END
$$;
