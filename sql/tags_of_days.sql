-- The tags that pods or volumes had on some days, place by place.
--
-- Reads  reporting_ocpusagelineitem_daily_summary  one row per contribution
--
-- days          date[]  the UTC days
-- source        uuid    the source
-- kind          text    Pod or Storage
-- enabled_keys  text[]  the keys that are enabled
--
-- Returns one row per key, namespace and node, in the order of the places: the index of
-- a label summary then grows at its end alone. A node that is missing is one, too.

CREATE OR REPLACE FUNCTION tags_of_days(days date[], source uuid, kind text, enabled_keys text[])
RETURNS TABLE (key text, namespace text, node text, "values" text[])
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    -- Few keys, and at hand: those that were only ever seen may be many, and looking
    -- through them for every row takes their number times that of the rows.
    RETURN QUERY
    WITH places AS MATERIALIZED (
        SELECT
            summary.namespace,
            summary.node,
            array_agg(CASE kind WHEN 'Pod' THEN summary.pod_labels ELSE summary.volume_labels END) AS label_sets
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        WHERE
            summary.usage_start = ANY (days)
            AND summary.usage_start BETWEEN first_day AND last_day
            AND summary.source_uuid = source
            AND summary.data_source = kind
            AND is_usage(summary.infrastructure_raw_cost)
            AND CASE kind WHEN 'Pod' THEN summary.pod_labels ELSE summary.volume_labels END IS NOT NULL
        GROUP BY
            summary.namespace,
            summary.node
        ORDER BY
            summary.namespace,
            summary.node
    )
    -- Where there is one label set each key has one value: nothing to be gathered.
    SELECT
        label.key,
        place.namespace::text,
        place.node::text,
        ARRAY[label.value] AS values
    FROM places AS place
    CROSS JOIN LATERAL jsonb_each_text(place.label_sets[1]) AS label
    WHERE
        cardinality(place.label_sets) = 1
        AND label.key = ANY (enabled_keys)
    UNION ALL
    SELECT
        label.key,
        place.namespace::text,
        place.node::text,
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
        place.node;
END
$$;
