-- Adds the tags that volumes had on some days to those of their month. Returns how
-- many rows that changed.
--
-- Reads   reporting_enabledtagkeys                  one row per key and kind of provider
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocpstoragevolumelabel_summary   one row per report period, key, namespace and node
--
-- days    date[]   the UTC days
-- period  integer  the report period of their month
-- source  uuid     the source
--
-- A value stays to the end of the month, even if its day is made anew without it.
-- A key that is no longer enabled goes.

CREATE OR REPLACE FUNCTION refresh_volume_label_summary(days date[], period integer, source uuid)
RETURNS bigint
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few.
SET enable_sort = off
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
    rows_deleted bigint;
    rows_written bigint;
BEGIN
    DELETE FROM reporting_ocpstoragevolumelabel_summary AS known
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
        CROSS JOIN LATERAL jsonb_each_text(summary.volume_labels) AS label
        WHERE
            label.key = ANY (enabled_keys)
            AND summary.usage_start = ANY (days)
            AND summary.source_uuid = source
            AND summary.data_source = 'Storage'
            AND COALESCE(summary.infrastructure_raw_cost, 0) = 0
        EXCEPT
        SELECT
            known.key,
            known.namespace,
            known.node,
            known_value.value
        FROM reporting_ocpstoragevolumelabel_summary AS known
        CROSS JOIN LATERAL unnest(known.values) AS known_value (value)
        WHERE known.report_period_id = period
    )
    INSERT INTO reporting_ocpstoragevolumelabel_summary AS known (
        key, values, namespace, node, report_period_id
    )
    SELECT
        new.key,
        array_agg(new.value ORDER BY new.value),
        new.namespace,
        new.node,
        period
    FROM new_values AS new
    GROUP BY
        new.key,
        new.namespace,
        new.node
    ON CONFLICT (report_period_id, key, namespace, node) DO UPDATE
    SET values = unite_arrays(known.values, EXCLUDED.values);

    GET DIAGNOSTICS rows_written = ROW_COUNT;
    RETURN rows_deleted + rows_written;
END
$$;
