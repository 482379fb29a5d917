-- Sums what a cluster cost on some days, node by node and project by project, in place
-- of what was there.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_cost_summary_by_node_p      one row per day, node and kind of rate
-- Writes  reporting_ocp_cost_summary_by_project_p   one row per day, namespace and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- Rows of usage have no rate and no costs; their sum is a row of nulls, by which
-- consumers know what there is.

CREATE OR REPLACE FUNCTION refresh_cost_summaries_by_place(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    DELETE FROM reporting_ocp_cost_summary_by_node_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    DELETE FROM reporting_ocp_cost_summary_by_project_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    WITH sums AS MATERIALIZED (
        -- Of each node, and of each project.
        SELECT
            summary.usage_start,
            summary.cluster_id,
            summary.cluster_alias,
            summary.node,
            summary.namespace,
            grouping(summary.node) = 0 AS is_node,
            summary.cost_model_rate_type,
            sum(summary.infrastructure_raw_cost) AS infrastructure_raw_cost,
            sum(summary.infrastructure_markup_cost) AS infrastructure_markup_cost,
            sum(summary.cost_model_cpu_cost) AS cost_model_cpu_cost,
            sum(summary.cost_model_memory_cost) AS cost_model_memory_cost,
            sum(summary.cost_model_volume_cost) AS cost_model_volume_cost,
            sum(summary.cost_model_gpu_cost) AS cost_model_gpu_cost,
            sum(summary.distributed_cost) AS distributed_cost,
            max(summary.raw_currency) AS raw_currency,
            max(summary.cost_category_id) AS cost_category_id
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        WHERE
            summary.usage_start = ANY (days)
            AND summary.usage_start BETWEEN first_day AND last_day
            AND summary.source_uuid = source
        GROUP BY
            summary.usage_start,
            summary.cluster_id,
            summary.cluster_alias,
            summary.cost_model_rate_type,
            GROUPING SETS (summary.node, summary.namespace)
    ),
    by_node AS (
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
            sum.cluster_id,
            sum.cluster_alias,
            sum.node,
            sum.usage_start,
            sum.usage_start,
            sum.cost_model_rate_type,
            sum.infrastructure_raw_cost,
            sum.infrastructure_markup_cost,
            sum.cost_model_cpu_cost,
            sum.cost_model_memory_cost,
            sum.cost_model_volume_cost,
            sum.cost_model_gpu_cost,
            sum.distributed_cost,
            sum.raw_currency,
            sum.cost_category_id,
            source
        FROM sums AS sum
        WHERE sum.is_node
    )
    INSERT INTO reporting_ocp_cost_summary_by_project_p (
        cluster_id,
        cluster_alias,
        namespace,
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
        sum.cluster_id,
        sum.cluster_alias,
        sum.namespace,
        sum.usage_start,
        sum.usage_start,
        sum.cost_model_rate_type,
        sum.infrastructure_raw_cost,
        sum.infrastructure_markup_cost,
        sum.cost_model_cpu_cost,
        sum.cost_model_memory_cost,
        sum.cost_model_volume_cost,
        sum.cost_model_gpu_cost,
        sum.distributed_cost,
        sum.raw_currency,
        sum.cost_category_id,
        source
    FROM sums AS sum
    WHERE NOT sum.is_node;
END
$$;
