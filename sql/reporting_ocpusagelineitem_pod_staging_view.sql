-- What pods used, requested and were limited to, hour by hour, as people read
-- it. Measures are in their unit, labels are spelt out, and processed says
-- whether the daily summary was made of the row.
--
-- Reads  reporting_ocpusagelineitem_pod_staging  one row per generation, hour, namespace and pod
-- Reads  gristmill_generation                    one row per run that loaded rows
-- Reads  gristmill_day_manifest                  one row per source, UTC day and manifest
-- Reads  gristmill_day                           one row per source and UTC day
-- Reads  gristmill_label_set                     one row per distinct set
-- Reads  gristmill_name                          one row per distinct name
--
-- Grain: one row per staged row.

CREATE OR REPLACE VIEW reporting_ocpusagelineitem_pod_staging_view AS
SELECT
    staged.generation,
    staged.source_uuid,
    staged.report_period_id,
    staged.report_period_start,
    staged.report_period_end,
    staged.interval_start,
    staged.interval_end,
    staged.pod_usage_cpu_core_hours_e12 * 1e-12 AS pod_usage_cpu_core_hours,
    staged.pod_request_cpu_core_hours_e12 * 1e-12 AS pod_request_cpu_core_hours,
    staged.pod_limit_cpu_core_hours_e12 * 1e-12 AS pod_limit_cpu_core_hours,
    staged.pod_effective_usage_cpu_core_hours_e12 * 1e-12 AS pod_effective_usage_cpu_core_hours,
    staged.pod_usage_memory_gigabyte_hours_e12 * 1e-12 AS pod_usage_memory_gigabyte_hours,
    staged.pod_request_memory_gigabyte_hours_e12 * 1e-12 AS pod_request_memory_gigabyte_hours,
    staged.pod_limit_memory_gigabyte_hours_e12 * 1e-12 AS pod_limit_memory_gigabyte_hours,
    staged.pod_effective_usage_memory_gigabyte_hours_e12 * 1e-12 AS pod_effective_usage_memory_gigabyte_hours,
    staged.node_capacity_cpu_cores_e12 * 1e-12 AS node_capacity_cpu_cores,
    staged.node_capacity_cpu_core_hours_e12 * 1e-12 AS node_capacity_cpu_core_hours,
    staged.node_capacity_memory_gigabytes_e12 * 1e-12 AS node_capacity_memory_gigabytes,
    staged.node_capacity_memory_gigabyte_hours_e12 * 1e-12 AS node_capacity_memory_gigabyte_hours,
    pod_labels.labels AS pod_labels,
    namespace.name AS namespace,
    node.name AS node,
    staged.pod,
    resource.name AS resource_id,
    staged.node_role,
    day.processed_at IS NOT NULL AS processed
FROM reporting_ocpusagelineitem_pod_staging AS staged
LEFT JOIN gristmill_generation AS loaded
    ON loaded.id = staged.generation
    AND loaded.state = 'complete'
LEFT JOIN gristmill_day_manifest AS holder
    ON holder.manifest_id = loaded.manifest_id
    AND holder.source_uuid = loaded.source_uuid
    AND holder.usage_day = (staged.interval_start AT TIME ZONE 'UTC')::date
LEFT JOIN gristmill_day AS day
    ON day.source_uuid = holder.source_uuid
    AND day.usage_day = holder.usage_day
LEFT JOIN gristmill_label_set AS pod_labels
    ON pod_labels.id = staged.pod_labels_id
LEFT JOIN gristmill_name AS namespace
    ON namespace.id = staged.namespace_name_id
LEFT JOIN gristmill_name AS node
    ON node.id = staged.node_name_id
LEFT JOIN gristmill_name AS resource
    ON resource.id = staged.resource_id_name_id;

COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging_view.processed
    IS 'Not so for rows of a payload that lost its day to another one';
