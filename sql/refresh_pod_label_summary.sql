-- Adds the tags that pods had on some days to those of their month. Returns how
-- many rows that changed.
--
-- Reads   reporting_enabledtagkeys                  one row per key and kind of provider
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocpusagepodlabel_summary        one row per report period, key, namespace and node
--
-- days    date[]   the UTC days
-- period  integer  the report period of their month
-- source  uuid     the source
--
-- A value stays to the end of the month, even if its day is made anew without it.
-- A key that is no longer enabled goes.

CREATE OR REPLACE FUNCTION refresh_pod_label_summary(days date[], period integer, source uuid)
RETURNS bigint
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few.
SET enable_sort = off
SET enable_nestloop = off
AS $$
DECLARE
    -- Few, and at hand: keys that were only ever seen may be many, and looking
    -- through them for every row takes their number times that of the rows.
    enabled_keys CONSTANT text[] := ARRAY(
        SELECT tag.key
        FROM reporting_enabledtagkeys AS tag
        WHERE
            tag.provider_type = 'OCP'
            AND tag.enabled
    );
    -- Rows that are made together have uuids that follow each other, so that the
    -- index grows at one place and not all over.
    uuid_start CONSTANT text := left(gen_random_uuid()::text, -12);
    rows_deleted bigint;
    rows_written bigint;
BEGIN
    DELETE FROM reporting_ocpusagepodlabel_summary AS known
    WHERE
        known.report_period_id = period
        AND known.key <> ALL (enabled_keys);

    GET DIAGNOSTICS rows_deleted = ROW_COUNT;

    WITH new_values AS (
        -- Each once; a node that is missing is one, too.
        SELECT
            label.key,
            summary.namespace,
            summary.node,
            label.value
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        CROSS JOIN LATERAL jsonb_each_text(summary.pod_labels) AS label
        WHERE
            label.key = ANY (enabled_keys)
            AND summary.usage_start = ANY (days)
            AND summary.source_uuid = source
            AND summary.data_source = 'Pod'
            AND COALESCE(summary.infrastructure_raw_cost, 0) = 0
        EXCEPT
        SELECT
            known.key,
            known.namespace,
            known.node,
            known_value.value
        FROM reporting_ocpusagepodlabel_summary AS known
        CROSS JOIN LATERAL unnest(known.values) AS known_value (value)
        WHERE known.report_period_id = period
    ),
    new_lists AS MATERIALIZED (
        SELECT
            new.key,
            new.namespace,
            new.node,
            array_agg(new.value ORDER BY new.value) AS values
        FROM new_values AS new
        GROUP BY
            new.key,
            new.namespace,
            new.node
    ),
    extended AS (
        -- Blank is as good as missing for finding a row, which may be done by hash.
        UPDATE reporting_ocpusagepodlabel_summary AS known
        SET values = unite_arrays(known.values, new.values)
        FROM new_lists AS new
        WHERE
            known.report_period_id = period
            AND known.key = new.key
            AND COALESCE(known.namespace, '') = COALESCE(new.namespace, '')
            AND COALESCE(known.node, '') = COALESCE(new.node, '')
            AND (known.namespace, known.node) IS NOT DISTINCT FROM (new.namespace, new.node)
        RETURNING new.key, new.namespace, new.node
    ),
    added AS (
        INSERT INTO reporting_ocpusagepodlabel_summary (uuid, key, values, namespace, node, report_period_id)
        SELECT
            (uuid_start || lpad(to_hex(row_number() OVER ()), 12, '0'))::uuid,
            new.key,
            new.values,
            new.namespace,
            new.node,
            period
        FROM new_lists AS new
        WHERE NOT EXISTS (
            SELECT
            FROM extended AS known
            WHERE
                known.key = new.key
                AND COALESCE(known.namespace, '') = COALESCE(new.namespace, '')
                AND COALESCE(known.node, '') = COALESCE(new.node, '')
                AND (known.namespace, known.node) IS NOT DISTINCT FROM (new.namespace, new.node)
        )
        RETURNING key
    )
    SELECT (SELECT count(*) FROM extended) + (SELECT count(*) FROM added)
    INTO rows_written;

    RETURN rows_deleted + rows_written;
END
$$;
