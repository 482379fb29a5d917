-- Makes the values of some tags anew, of what the label summaries of all clusters and
-- months have of them. Values that none of them has go.
--
-- Reads   label_summaries                 one row per report period, key, namespace and node, of pods and of volumes
-- Reads   reporting_ocpusagereportperiod  one row per source and month
-- Writes  reporting_ocptags_values        one row per key and value
--
-- keys  text[]  the keys
--
-- It reads all months, which no payload should wait for: it is for keys that were
-- enabled again or are in doubt, and for months that are forgotten. To be called by
-- one at a time, as add_tags_values.

CREATE OR REPLACE FUNCTION remake_tags_values(keys text[])
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    WITH seen_values AS (
        SELECT
            tag.key,
            unnest(tag.values) AS value,
            tag.report_period_id,
            tag.namespace,
            tag.node
        FROM label_summaries() AS tag
        WHERE tag.key = ANY (keys)
    ),
    seen_places AS (
        -- Each month, each namespace and each node of a value once.
        SELECT
            seen.key,
            seen.value,
            seen.report_period_id,
            seen.namespace,
            seen.node,
            grouping(seen.report_period_id) = 0 AS is_month,
            grouping(seen.namespace) = 0 AS is_namespace,
            grouping(seen.node) = 0 AS is_node
        FROM seen_values AS seen
        -- What the months of no cluster have is about to be forgotten.
        WHERE seen.report_period_id IN (SELECT month.id FROM reporting_ocpusagereportperiod AS month)
        GROUP BY GROUPING SETS (
            (seen.key, seen.value, seen.report_period_id),
            (seen.key, seen.value, seen.namespace),
            (seen.key, seen.value, seen.node)
        )
    ),
    seen_lists AS MATERIALIZED (
        SELECT
            place.key,
            place.value,
            unite_arrays(NULL, array_agg(month.cluster_id::text) FILTER (WHERE place.is_month)) AS cluster_ids,
            unite_arrays(NULL, array_agg(month.cluster_alias) FILTER (WHERE place.is_month)) AS cluster_aliases,
            unite_arrays(NULL, array_agg(place.namespace) FILTER (WHERE place.is_namespace)) AS namespaces,
            unite_arrays(NULL, array_agg(place.node) FILTER (WHERE place.is_node)) AS nodes
        FROM seen_places AS place
        LEFT JOIN reporting_ocpusagereportperiod AS month
            ON month.id = place.report_period_id
        GROUP BY
            place.key,
            place.value
    ),
    removed AS (
        DELETE FROM reporting_ocptags_values AS known
        WHERE
            known.key = ANY (keys)
            AND NOT EXISTS (
                SELECT
                FROM seen_lists AS seen
                WHERE
                    seen.key = known.key
                    AND seen.value = known.value
            )
    )
    INSERT INTO reporting_ocptags_values AS known (
        key, value, cluster_ids, cluster_aliases, namespaces, nodes
    )
    SELECT
        seen.key,
        seen.value,
        seen.cluster_ids,
        seen.cluster_aliases,
        seen.namespaces,
        seen.nodes
    FROM seen_lists AS seen
    ON CONFLICT (key, value) DO UPDATE
    SET
        cluster_ids = EXCLUDED.cluster_ids,
        cluster_aliases = EXCLUDED.cluster_aliases,
        namespaces = EXCLUDED.namespaces,
        nodes = EXCLUDED.nodes
    WHERE
        (known.cluster_ids, known.cluster_aliases, known.namespaces, known.nodes)
        IS DISTINCT FROM
        (EXCLUDED.cluster_ids, EXCLUDED.cluster_aliases, EXCLUDED.namespaces, EXCLUDED.nodes);
END
$$;
