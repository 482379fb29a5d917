-- Takes from the tags of a month what none of its days shows any more, after some were
-- removed. Returns how many rows of the label summaries that changed. What the tags'
-- values have of it is in doubt then: settle_tags_values makes them anew.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Reads   reporting_tagmapping                      one row per renamed key
-- Writes  reporting_ocpusagepodlabel_summary        one row per report period, key, namespace and node
-- Writes  reporting_ocpstoragevolumelabel_summary   one row per report period, key, namespace and node
-- Writes  gristmill_tag_key                         one row per key that was ever in a label summary
--
-- period  integer  the report period
-- source  uuid     the source
-- month   date     the first day of the month
--
-- Label summaries show keys as they were reported, the daily summary shows them renamed:
-- of a renamed key all values stay where its new name is still seen.
--
-- The statement made for each of the two is given
-- $1  the report period
-- $2  the source
-- $3  the first day of the month
-- $4  Pod or Storage

CREATE OR REPLACE FUNCTION forget_unseen_tags(period integer, source uuid, month date)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    kind record;
    changed_keys text[];
    forgotten_keys text[] := '{}';
    rows_here bigint;
    rows_changed bigint := 0;
BEGIN
    FOR kind IN
        SELECT *
        FROM (
            VALUES
                ('Pod', 'pod_labels', 'reporting_ocpusagepodlabel_summary'),
                ('Storage', 'volume_labels', 'reporting_ocpstoragevolumelabel_summary')
        ) AS kinds (data_source, labels, summary)
    LOOP
        EXECUTE format(
            'WITH label_sets AS MATERIALIZED (
                SELECT DISTINCT
                    summary.namespace,
                    summary.node,
                    summary.%2$I AS labels
                FROM reporting_ocpusagelineitem_daily_summary AS summary
                WHERE
                    summary.usage_start >= $3
                    AND summary.usage_start < ($3 + interval ''1 month'')::date
                    AND summary.source_uuid = $2
                    AND summary.data_source = $4
                    AND summary.%2$I IS NOT NULL
            ),
            seen_values AS MATERIALIZED (
                SELECT DISTINCT
                    COALESCE(place.namespace, '''') AS namespace,
                    COALESCE(place.node, '''') AS node,
                    label.key,
                    label.value
                FROM label_sets AS place
                CROSS JOIN LATERAL jsonb_each_text(place.labels) AS label
            ),
            known_values AS MATERIALIZED (
                SELECT
                    known.uuid,
                    COALESCE(known.namespace, '''') AS namespace,
                    COALESCE(known.node, '''') AS node,
                    known.key,
                    unnest(known.values) AS value
                FROM %1$I AS known
                WHERE known.report_period_id = $1
            ),
            kept_values AS (
                SELECT known.uuid, known.value
                FROM known_values AS known
                JOIN seen_values AS seen
                    ON seen.namespace = known.namespace
                    AND seen.node = known.node
                    AND seen.key = known.key
                    AND seen.value = known.value
                UNION
                SELECT known.uuid, known.value
                FROM known_values AS known
                JOIN reporting_enabledtagkeys AS child
                    ON child.key = known.key
                JOIN reporting_tagmapping AS mapping
                    ON mapping.child_id = child.uuid
                JOIN reporting_enabledtagkeys AS parent
                    ON parent.uuid = mapping.parent_id
                JOIN seen_values AS seen
                    ON seen.namespace = known.namespace
                    AND seen.node = known.node
                    AND seen.key = parent.key
            ),
            kept_rows AS MATERIALIZED (
                SELECT
                    kept.uuid,
                    array_agg(kept.value ORDER BY kept.value) AS values
                FROM kept_values AS kept
                GROUP BY kept.uuid
            ),
            removed AS (
                DELETE FROM %1$I AS known
                WHERE
                    known.report_period_id = $1
                    AND NOT EXISTS (SELECT FROM kept_rows AS kept WHERE kept.uuid = known.uuid)
                RETURNING known.key
            ),
            shortened AS (
                UPDATE %1$I AS known
                SET values = kept.values
                FROM kept_rows AS kept
                WHERE
                    known.report_period_id = $1
                    AND kept.uuid = known.uuid
                    AND cardinality(kept.values) <> cardinality(known.values)
                RETURNING known.key
            )
            SELECT
                COALESCE(array_agg(DISTINCT changed.key), ''{}''),
                count(*)
            FROM (
                SELECT removed.key FROM removed
                UNION ALL
                SELECT shortened.key FROM shortened
            ) AS changed',
            kind.summary,
            kind.labels
        )
        INTO changed_keys, rows_here
        USING period, source, month, kind.data_source;

        forgotten_keys := forgotten_keys || changed_keys;
        rows_changed := rows_changed + rows_here;
    END LOOP;

    PERFORM doubt_tags_values(forgotten_keys);
    RETURN rows_changed;
END
$$;
