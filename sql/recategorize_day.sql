-- Gives a day's rows the cost category that their namespace has now. Returns how
-- many rows of the daily summary that changed.
--
-- Reads   cost_category_of                          once per namespace
-- Writes  reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_gpu_summary_p               one row per namespace, node and card or slice
--
-- usage_day  date  a UTC day
-- source     uuid  the source
--
-- Rows that come from cloud bills are not touched. What is made of the daily summary
-- is not made anew here.

CREATE OR REPLACE FUNCTION recategorize_day(usage_day date, source uuid)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    rows_updated bigint;
BEGIN
    UPDATE reporting_ocp_gpu_summary_p AS card
    SET cost_category_id = cost_category_of(card.namespace)
    WHERE
        card.usage_start = usage_day
        AND card.source_uuid = source
        AND card.cost_category_id IS DISTINCT FROM cost_category_of(card.namespace);

    WITH namespaces AS (
        SELECT
            present.namespace,
            cost_category_of(present.namespace) AS cost_category_id
        FROM (
            SELECT DISTINCT summary.namespace
            FROM reporting_ocpusagelineitem_daily_summary AS summary
            WHERE
                summary.usage_start = usage_day
                AND summary.source_uuid = source
        ) AS present
    )
    UPDATE reporting_ocpusagelineitem_daily_summary AS summary
    SET cost_category_id = namespace.cost_category_id
    FROM namespaces AS namespace
    WHERE
        summary.usage_start = usage_day
        AND summary.source_uuid = source
        AND summary.namespace = namespace.namespace
        AND is_usage(summary.infrastructure_raw_cost)
        AND summary.cost_category_id IS DISTINCT FROM namespace.cost_category_id;

    GET DIAGNOSTICS rows_updated = ROW_COUNT;
    RETURN rows_updated;
END
$$;
