-- Adds the tags that pods had on some days to those of their month. Returns the
-- keys of which that changed anything, each once.
--
-- Reads   tags_of_days                        one row per key, namespace and node
-- Writes  reporting_ocpusagepodlabel_summary  one row per report period, key, namespace and node
--
-- days          date[]   the UTC days
-- period        integer  the report period of their month
-- source        uuid     the source
-- enabled_keys  text[]   the keys that are enabled
--
-- A value stays to the end of the month, even if its day is made anew without it.
-- A key that is no longer enabled goes.

CREATE OR REPLACE FUNCTION refresh_pod_label_summary(
    days date[],
    period integer,
    source uuid,
    enabled_keys text[]
)
RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
    uuid_start CONSTANT text := left(gen_random_uuid()::text, -12);
    changed_keys text[];
BEGIN
    WITH news AS MATERIALIZED (
        -- What its row does not have yet, if there is one. Blank is as good as missing
        -- for finding it, which may be done by hash.
        SELECT
            seen.key,
            seen.namespace,
            seen.node,
            seen.values,
            known.uuid IS NOT NULL AS is_known
        FROM tags_of_days(days, source, 'Pod', enabled_keys) AS seen
        LEFT JOIN reporting_ocpusagepodlabel_summary AS known
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
        DELETE FROM reporting_ocpusagepodlabel_summary AS known
        WHERE
            known.report_period_id = period
            AND known.key <> ALL (enabled_keys)
        RETURNING known.key
    ),
    extended AS (
        -- Each finds its row by the place key, and reads no other.
        INSERT INTO reporting_ocpusagepodlabel_summary AS known (key, values, namespace, node, report_period_id)
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
        INSERT INTO reporting_ocpusagepodlabel_summary (uuid, key, values, namespace, node, report_period_id)
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
