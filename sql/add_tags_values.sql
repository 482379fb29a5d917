-- Adds where the tags of a month were seen to what is known of their values. What
-- other clusters and months have of a value stays.
--
-- Reads   label_summaries                 one row per report period, key, namespace and node, of pods and of volumes
-- Reads   reporting_ocpusagereportperiod  one row per source and month
-- Writes  reporting_ocptags_values        one row per key and value
--
-- period  integer  the report period
-- keys    text[]   the keys
--
-- To be called by refresh_tags_values alone, which lets nobody else do so.

CREATE OR REPLACE FUNCTION add_tags_values(period integer, keys text[])
RETURNS void
LANGUAGE plpgsql
-- Hashing is faster than sorting.
SET enable_sort = off
AS $$
BEGIN
    WITH seen_values AS (
        SELECT
            tag.key,
            unnest(tag.values) AS value,
            tag.namespace,
            tag.node
        FROM label_summaries() AS tag
        WHERE
            tag.report_period_id = period
            AND tag.key = ANY (keys)
    ),
    seen_places AS (
        -- Each namespace and each node of a value once.
        SELECT
            seen.key,
            seen.value,
            seen.namespace,
            seen.node,
            grouping(seen.node) = 1 AS is_namespace
        FROM seen_values AS seen
        GROUP BY GROUPING SETS (
            (seen.key, seen.value, seen.namespace),
            (seen.key, seen.value, seen.node)
        )
    ),
    seen_lists AS (
        SELECT
            place.key,
            place.value,
            array_agg(place.namespace) FILTER (WHERE place.is_namespace) AS namespaces,
            array_agg(place.node) FILTER (WHERE NOT place.is_namespace) AS nodes
        FROM seen_places AS place
        GROUP BY
            place.key,
            place.value
    )
    INSERT INTO reporting_ocptags_values AS known (
        key, value, cluster_ids, cluster_aliases, namespaces, nodes
    )
    SELECT
        seen.key,
        seen.value,
        ARRAY[cluster.cluster_id::text],
        ARRAY[cluster.cluster_alias::text],
        unite_arrays(NULL, seen.namespaces),
        unite_arrays(NULL, seen.nodes)
    FROM seen_lists AS seen
    JOIN reporting_ocpusagereportperiod AS cluster
        ON cluster.id = period
    ON CONFLICT (key, value) DO UPDATE
    SET
        cluster_ids = unite_arrays(known.cluster_ids, EXCLUDED.cluster_ids),
        cluster_aliases = unite_arrays(known.cluster_aliases, EXCLUDED.cluster_aliases),
        namespaces = unite_arrays(known.namespaces, EXCLUDED.namespaces),
        nodes = unite_arrays(known.nodes, EXCLUDED.nodes)
    WHERE
        (known.cluster_ids, known.cluster_aliases, known.namespaces, known.nodes)
        IS DISTINCT FROM (
            unite_arrays(known.cluster_ids, EXCLUDED.cluster_ids),
            unite_arrays(known.cluster_aliases, EXCLUDED.cluster_aliases),
            unite_arrays(known.namespaces, EXCLUDED.namespaces),
            unite_arrays(known.nodes, EXCLUDED.nodes)
        );
END
$$;
