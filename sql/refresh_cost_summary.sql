-- Sums what a cluster cost on some days, in place of what was there. To be run
-- after the same node by node.
--
-- Reads   reporting_ocp_cost_summary_by_node_p  one row per day, node and kind of rate
-- Writes  reporting_ocp_cost_summary_p          one row per day and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- Rows of usage have no rate and no costs; their sum is a row of nulls, by which
-- consumers know what there is.

CREATE OR REPLACE FUNCTION refresh_cost_summary(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    DELETE FROM reporting_ocp_cost_summary_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    INSERT INTO reporting_ocp_cost_summary_p (
        cluster_id,
        cluster_alias,
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
        node.cluster_id,
        node.cluster_alias,
        node.usage_start,
        node.usage_start,
        node.cost_model_rate_type,
        sum(node.infrastructure_raw_cost),
        sum(node.infrastructure_markup_cost),
        sum(node.cost_model_cpu_cost),
        sum(node.cost_model_memory_cost),
        sum(node.cost_model_volume_cost),
        sum(node.cost_model_gpu_cost),
        sum(node.distributed_cost),
        max(node.raw_currency),
        max(node.cost_category_id),
        source
    FROM reporting_ocp_cost_summary_by_node_p AS node
    WHERE
        node.usage_start = ANY (days)
        AND node.usage_start BETWEEN first_day AND last_day
        AND node.source_uuid = source
    GROUP BY
        node.usage_start,
        node.cluster_id,
        node.cluster_alias,
        node.cost_model_rate_type;
END
$$;
