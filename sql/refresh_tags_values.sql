-- Adds where the tags of a month were seen to what is known of their values. To
-- be run after the month's label summaries.
--
-- Reads   reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Reads   reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
-- Reads   reporting_ocpusagereportperiod           one row per source and month
-- Writes  reporting_ocptags_values                 one row per key and value
--
-- period  integer  the report period
--
-- What other clusters and months have of a value stays. The values of a key that
-- is no longer enabled go. All sources write the same rows, one source at a time
-- from here to the end of its transaction: call it last.

CREATE OR REPLACE FUNCTION refresh_tags_values(period integer)
RETURNS void
LANGUAGE plpgsql
-- Hashing finds what is there twice faster than sorting.
SET enable_sort = off
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    DELETE FROM reporting_ocptags_values AS known
    USING reporting_enabledtagkeys AS tag
    WHERE
        tag.key = known.key
        AND tag.provider_type = 'OCP'
        AND NOT tag.enabled;

    WITH tags AS (
        -- Of pods and of volumes alike.
        SELECT pod.key, pod.values, pod.namespace, pod.node
        FROM reporting_ocpusagepodlabel_summary AS pod
        WHERE pod.report_period_id = period
        UNION ALL
        SELECT volume.key, volume.values, volume.namespace, volume.node
        FROM reporting_ocpstoragevolumelabel_summary AS volume
        WHERE volume.report_period_id = period
    ),
    seen_values AS (
        SELECT
            tag.key,
            unnest(tag.values) AS value,
            tag.namespace,
            tag.node
        FROM tags AS tag
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
    ),
    united_values AS (
        SELECT
            seen.key,
            seen.value,
            unite_arrays(known.cluster_ids, ARRAY[cluster.cluster_id::text]) AS cluster_ids,
            unite_arrays(known.cluster_aliases, ARRAY[cluster.cluster_alias::text]) AS cluster_aliases,
            unite_arrays(known.namespaces, seen.namespaces) AS namespaces,
            unite_arrays(known.nodes, seen.nodes) AS nodes
        FROM seen_lists AS seen
        JOIN reporting_ocpusagereportperiod AS cluster
            ON cluster.id = period
        LEFT JOIN reporting_ocptags_values AS known
            ON known.key = seen.key
            AND known.value = seen.value
    )
    INSERT INTO reporting_ocptags_values AS known (
        key, value, cluster_ids, cluster_aliases, namespaces, nodes
    )
    SELECT
        united.key,
        united.value,
        united.cluster_ids,
        united.cluster_aliases,
        united.namespaces,
        united.nodes
    FROM united_values AS united
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
