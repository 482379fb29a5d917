-- Adds the tags that volumes had on some days to those of their month. Returns the
-- keys of which that changed anything, each once.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocpstoragevolumelabel_summary   one row per report period, key, namespace and node
--
-- days          date[]   the UTC days
-- period        integer  the report period of their month
-- source        uuid     the source
-- enabled_keys  text[]   the keys that are enabled
--
-- A value stays to the end of the month, even if its day is made anew without it.
-- A key that is no longer enabled goes.

CREATE OR REPLACE FUNCTION refresh_volume_label_summary(
    days date[],
    period integer,
    source uuid,
    enabled_keys text[]
)
RETURNS text[]
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few.
SET enable_sort = off
SET enable_nestloop = off
AS $$
DECLARE
    uuid_start CONSTANT text := left(gen_random_uuid()::text, -12);
    changed_keys text[];
BEGIN
    -- Few keys, and at hand: those that were only ever seen may be many, and looking
    -- through them for every row takes their number times that of the rows.
    WITH places AS MATERIALIZED (
        -- In the order of the index, which then grows at its end alone. A node that is
        -- missing is one, too.
        SELECT
            summary.namespace,
            summary.node,
            array_agg(summary.volume_labels) AS label_sets
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        WHERE
            summary.usage_start = ANY (days)
            AND summary.source_uuid = source
            AND summary.data_source = 'Storage'
            AND COALESCE(summary.infrastructure_raw_cost, 0) = 0
            AND summary.volume_labels IS NOT NULL
        GROUP BY
            summary.namespace,
            summary.node
        ORDER BY
            summary.namespace,
            summary.node
    ),
    seen_lists AS (
        -- Where there is one label set each key has one value: nothing to be
        -- gathered.
        SELECT
            label.key,
            place.namespace,
            place.node,
            ARRAY[label.value] AS values
        FROM places AS place
        CROSS JOIN LATERAL jsonb_each_text(place.label_sets[1]) AS label
        WHERE
            cardinality(place.label_sets) = 1
            AND label.key = ANY (enabled_keys)
        UNION ALL
        SELECT
            label.key,
            place.namespace,
            place.node,
            array_agg(DISTINCT label.value)
        FROM (
            -- Each day has the same ones, mostly.
            SELECT DISTINCT
                place.namespace,
                place.node,
                label_set.labels
            FROM places AS place
            CROSS JOIN LATERAL unnest(place.label_sets) AS label_set (labels)
            WHERE cardinality(place.label_sets) > 1
        ) AS place
        CROSS JOIN LATERAL jsonb_each_text(place.labels) AS label
        WHERE label.key = ANY (enabled_keys)
        GROUP BY
            label.key,
            place.namespace,
            place.node
    ),
    news AS MATERIALIZED (
        -- What its row does not have yet, if there is one. Blank is as good as missing
        -- for finding it, which may be done by hash.
        SELECT
            seen.key,
            seen.namespace,
            seen.node,
            seen.values,
            known.uuid IS NOT NULL AS is_known
        FROM seen_lists AS seen
        LEFT JOIN reporting_ocpstoragevolumelabel_summary AS known
            ON known.report_period_id = period
            AND known.key = seen.key
            AND COALESCE(known.namespace, '') = COALESCE(seen.namespace, '')
            AND COALESCE(known.node, '') = COALESCE(seen.node, '')
            AND (known.namespace, known.node) IS NOT DISTINCT FROM (seen.namespace, seen.node)
        WHERE
            known.uuid IS NULL
            OR NOT known.values @> seen.values
    ),
    removed AS (
        DELETE FROM reporting_ocpstoragevolumelabel_summary AS known
        WHERE
            known.report_period_id = period
            AND known.key <> ALL (enabled_keys)
        RETURNING known.key
    ),
    extended AS (
        -- Each finds its row by the place key, and reads no other.
        INSERT INTO reporting_ocpstoragevolumelabel_summary AS known (key, values, namespace, node, report_period_id)
        SELECT
            news.key,
            news.values,
            news.namespace,
            news.node,
            period
        FROM news
        WHERE news.is_known
        ON CONFLICT (report_period_id, namespace, node, key) DO UPDATE
            SET values = unite_arrays(known.values, EXCLUDED.values)
        RETURNING known.key
    ),
    added AS (
        INSERT INTO reporting_ocpstoragevolumelabel_summary (uuid, key, values, namespace, node, report_period_id)
        SELECT
            next_uuid(uuid_start),
            news.key,
            news.values,
            news.namespace,
            news.node,
            period
        FROM news
        WHERE NOT news.is_known
        RETURNING key
    )
    SELECT array_agg(changed.key)
    INTO changed_keys
    FROM (
        SELECT removed.key FROM removed
        UNION
        SELECT extended.key FROM extended
        UNION
        SELECT added.key FROM added
    ) AS changed;

    RETURN COALESCE(changed_keys, '{}');
END
$$;
