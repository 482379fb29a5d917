-- Puts together what a day's rows need of their namespaces: labels and category.
--
-- Reads   pg_temp.daily_pods, pg_temp.daily_volumes            which namespaces there are; see make_daily_tables
-- Reads   reporting_ocpusagelineitem_namespace_labels_staging  one row per generation, hour and namespace
-- Reads   cost_category_of                                     once per namespace
-- Writes  pg_temp.daily_namespaces                             one row per namespace; see make_daily_tables
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- The labels are those of the namespace's last hour, as in collect_daily_nodes.

CREATE OR REPLACE FUNCTION collect_daily_namespaces(usage_day date, generations bigint[])
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    WITH staged_labels AS NOT MATERIALIZED (
        SELECT
            staged.namespace,
            staged.interval_start,
            staged.namespace_labels_id
        FROM reporting_ocpusagelineitem_namespace_labels_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
    ),
    last_labels AS (
        SELECT DISTINCT ON (staged.namespace)
            staged.namespace,
            label_set.labels
        FROM staged_labels AS staged
        LEFT JOIN gristmill_label_set AS label_set
            ON label_set.id = staged.namespace_labels_id
        -- Only the labels of one hour are looked up and put in order. The planner, which
        -- guesses a few rows, makes no join of what is asked to be true.
        WHERE (
            (staged.namespace, staged.interval_start) IN (
                SELECT
                    hour.namespace,
                    max(hour.interval_start)
                FROM staged_labels AS hour
                GROUP BY hour.namespace
            )
        ) IS TRUE
        ORDER BY
            staged.namespace,
            label_set.labels::text COLLATE "C" DESC NULLS LAST
    ),
    namespaces AS (
        SELECT pod.namespace
        FROM pg_temp.daily_pods AS pod
        UNION
        SELECT volume.namespace
        FROM pg_temp.daily_volumes AS volume
    )
    INSERT INTO pg_temp.daily_namespaces (
        namespace,
        labels,
        cost_category_id
    )
    SELECT
        present.namespace,
        COALESCE(last.labels, '{}') AS labels,
        cost_category_of(present.namespace) AS cost_category_id
    FROM namespaces AS present
    LEFT JOIN last_labels AS last
        ON last.namespace = present.namespace;
END
$$;
