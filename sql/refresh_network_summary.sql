-- Sums what was sent and received on some days, in place of what was there. Only
-- cloud bills know it.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_network_summary_p           one row per day and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source

CREATE OR REPLACE FUNCTION refresh_network_summary(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM reporting_ocp_network_summary_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.source_uuid = source;

    INSERT INTO reporting_ocp_network_summary_p (
        cluster_id,
        cluster_alias,
        usage_start,
        usage_end,
        data_source,
        resource_ids,
        resource_count,
        infrastructure_data_in_gigabytes,
        infrastructure_data_out_gigabytes,
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
        summary.usage_start,
        summary.usage_start,
        max(summary.data_source),
        array_agg(DISTINCT summary.resource_id),
        count(DISTINCT summary.resource_id),
        sum(summary.infrastructure_data_in_gigabytes),
        sum(summary.infrastructure_data_out_gigabytes),
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
        AND summary.data_source = 'Pod'
        AND summary.namespace = 'Network unattributed'
        AND (
            summary.infrastructure_data_in_gigabytes IS NOT NULL
            OR summary.infrastructure_data_out_gigabytes IS NOT NULL
        )
    GROUP BY
        summary.usage_start,
        summary.cluster_id,
        summary.cluster_alias,
        summary.cost_model_rate_type;
END
$$;
