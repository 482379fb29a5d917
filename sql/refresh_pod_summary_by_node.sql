-- Sums what pods used on some days, node by node, in place of what was there.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_pod_summary_by_node_p       one row per day, node and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source

CREATE OR REPLACE FUNCTION refresh_pod_summary_by_node(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    DELETE FROM reporting_ocp_pod_summary_by_node_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    INSERT INTO reporting_ocp_pod_summary_by_node_p (
        cluster_id,
        cluster_alias,
        node,
        usage_start,
        usage_end,
        data_source,
        resource_ids,
        resource_count,
        pod_usage_cpu_core_hours,
        pod_request_cpu_core_hours,
        pod_effective_usage_cpu_core_hours,
        pod_limit_cpu_core_hours,
        pod_usage_memory_gigabyte_hours,
        pod_request_memory_gigabyte_hours,
        pod_effective_usage_memory_gigabyte_hours,
        pod_limit_memory_gigabyte_hours,
        cluster_capacity_cpu_core_hours,
        cluster_capacity_memory_gigabyte_hours,
        node_capacity_cpu_cores,
        node_capacity_cpu_core_hours,
        node_capacity_memory_gigabytes,
        node_capacity_memory_gigabyte_hours,
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
        max(summary.data_source),
        array_agg(DISTINCT summary.resource_id),
        count(DISTINCT summary.resource_id),
        sum(summary.pod_usage_cpu_core_hours),
        sum(summary.pod_request_cpu_core_hours),
        sum(summary.pod_effective_usage_cpu_core_hours),
        sum(summary.pod_limit_cpu_core_hours),
        sum(summary.pod_usage_memory_gigabyte_hours),
        sum(summary.pod_request_memory_gigabyte_hours),
        sum(summary.pod_effective_usage_memory_gigabyte_hours),
        sum(summary.pod_limit_memory_gigabyte_hours),
        max(summary.cluster_capacity_cpu_core_hours),
        max(summary.cluster_capacity_memory_gigabyte_hours),
        max(summary.node_capacity_cpu_cores),
        max(summary.node_capacity_cpu_core_hours),
        max(summary.node_capacity_memory_gigabytes),
        max(summary.node_capacity_memory_gigabyte_hours),
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
        AND summary.usage_start BETWEEN first_day AND last_day
        AND summary.source_uuid = source
        AND summary.data_source = 'Pod'
        -- Unused capacity, and what cloud bills could not place, is no pod's usage.
        AND COALESCE(summary.namespace, '') NOT IN (
            'Platform unallocated',
            'Worker unallocated',
            'Network unattributed',
            'Storage unattributed'
        )
    GROUP BY
        summary.usage_start,
        summary.cluster_id,
        summary.cluster_alias,
        summary.node,
        summary.cost_model_rate_type;
END
$$;
