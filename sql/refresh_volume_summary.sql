-- Sums what volumes held on some days, claim by claim, in place of what was
-- there.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_volume_summary_p            one row per day, claim, storage class and kind of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source

CREATE OR REPLACE FUNCTION refresh_volume_summary(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    DELETE FROM reporting_ocp_volume_summary_p AS made
    WHERE
        made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    INSERT INTO reporting_ocp_volume_summary_p (
        cluster_id,
        cluster_alias,
        persistentvolumeclaim,
        storageclass,
        usage_start,
        usage_end,
        data_source,
        resource_ids,
        resource_count,
        volume_request_storage_gigabyte_months,
        persistentvolumeclaim_usage_gigabyte_months,
        persistentvolumeclaim_capacity_gigabyte_months,
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
        summary.persistentvolumeclaim,
        summary.storageclass,
        summary.usage_start,
        summary.usage_start,
        max(summary.data_source),
        array_agg(DISTINCT summary.resource_id),
        count(DISTINCT summary.resource_id),
        sum(summary.volume_request_storage_gigabyte_months),
        sum(summary.persistentvolumeclaim_usage_gigabyte_months),
        sum(summary.persistentvolumeclaim_capacity_gigabyte_months),
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
        AND summary.data_source = 'Storage'
        -- The claim of a volume that nobody claims is blank, and has its row.
        AND summary.persistentvolumeclaim IS NOT NULL
    GROUP BY
        summary.usage_start,
        summary.cluster_id,
        summary.cluster_alias,
        summary.persistentvolumeclaim,
        summary.storageclass,
        summary.cost_model_rate_type;
END
$$;
