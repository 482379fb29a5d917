-- Which pods had which GPUs, hour by hour, as people read it. Measures are in
-- their unit, and processed says whether the daily summary was made of the row.
--
-- Reads  reporting_ocpusagelineitem_gpu_staging  one row per generation, hour, pod and card or slice
-- Reads  gristmill_generation                    one row per run that loaded rows
-- Reads  gristmill_day_manifest                  one row per source, UTC day and manifest
-- Reads  gristmill_day                           one row per source and UTC day
--
-- Grain: one row per staged row.

CREATE OR REPLACE VIEW reporting_ocpusagelineitem_gpu_staging_view AS
SELECT
    staged.generation,
    staged.source_uuid,
    staged.report_period_id,
    staged.report_period_start,
    staged.report_period_end,
    staged.interval_start,
    staged.interval_end,
    staged.gpu_memory_capacity_mib_e6 * 1e-6 AS gpu_memory_capacity_mib,
    staged.gpu_pod_uptime_e6 * 1e-6 AS gpu_pod_uptime,
    staged.gpu_pod_utilization_e6 * 1e-6 AS gpu_pod_utilization,
    staged.gpu_max_slices_e6 * 1e-6 AS gpu_max_slices,
    staged.namespace,
    staged.node,
    staged.pod,
    staged.gpu_uuid,
    staged.gpu_model_name,
    staged.gpu_vendor_name,
    staged.mig_instance_id,
    staged.mig_profile,
    staged.mig_strategy,
    day.processed_at IS NOT NULL AS processed
FROM reporting_ocpusagelineitem_gpu_staging AS staged
LEFT JOIN gristmill_generation AS loaded
    ON loaded.id = staged.generation
    AND loaded.state = 'complete'
LEFT JOIN gristmill_day_manifest AS holder
    ON holder.manifest_id = loaded.manifest_id
    AND holder.source_uuid = loaded.source_uuid
    AND holder.usage_day = (staged.interval_start AT TIME ZONE 'UTC')::date
LEFT JOIN gristmill_day AS day
    ON day.source_uuid = holder.source_uuid
    AND day.usage_day = holder.usage_day;

COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging_view.processed
    IS 'Not so for rows of a payload that lost its day to another one';
