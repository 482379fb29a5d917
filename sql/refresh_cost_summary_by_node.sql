-- Sums what a cluster cost on some days, node by node, in place of what was
-- there.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_cost_summary_by_node_p      one row per day, node and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- Rows of usage have no rate and no costs; their sum is a row of nulls, by which
-- consumers know what there is.

CREATE OR REPLACE FUNCTION refresh_cost_summary_by_node(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few.
SET enable_sort = off
AS $$
BEGIN
    DELETE FROM reporting_ocp_cost_summary_by_node_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.source_uuid = source;

    INSERT INTO reporting_ocp_cost_summary_by_node_p (
        cluster_id,
        cluster_alias,
        node,
        usage_start,
        usage_end,
        cost_model_rate_type,
        infrastructure_raw_cost,
        infrastructure_markup_cost,
        cost_model_cpu_cost,
        cost_model_memory_cost,
        cost_model_volume_cost,
        cost_model_gpu_cost,
        distributed_cost,
        raw_currency,
        cost_category_id,
        source_uuid
    )
    SELECT
        summary.cluster_id,
        summary.cluster_alias,
        summary.node,
        summary.usage_start,
        summary.usage_start,
        summary.cost_model_rate_type,
        sum(summary.infrastructure_raw_cost),
        sum(summary.infrastructure_markup_cost),
        sum(summary.cost_model_cpu_cost),
        sum(summary.cost_model_memory_cost),
        sum(summary.cost_model_volume_cost),
        sum(summary.cost_model_gpu_cost),
        sum(summary.distributed_cost),
        max(summary.raw_currency),
        max(summary.cost_category_id),
        source
    FROM reporting_ocpusagelineitem_daily_summary AS summary
    WHERE
        summary.usage_start = ANY (days)
        AND summary.source_uuid = source
    GROUP BY
        summary.usage_start,
        summary.cluster_id,
        summary.cluster_alias,
        summary.node,
        summary.cost_model_rate_type;
END
$$;
