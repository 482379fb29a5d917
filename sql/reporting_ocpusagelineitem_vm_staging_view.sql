-- What virtual machines used and were given, hour by hour, as people read it.
-- Measures are in their unit, labels are spelt out, and processed says whether
-- the daily summary was made of the row.
--
-- Reads  reporting_ocpusagelineitem_vm_staging  one row per generation, hour, namespace and machine
-- Reads  gristmill_generation                   one row per run that loaded rows
-- Reads  gristmill_day_manifest                 one row per source, UTC day and manifest
-- Reads  gristmill_day                          one row per source and UTC day
-- Reads  gristmill_label_set                    one row per distinct set
--
-- Grain: one row per staged row.

CREATE OR REPLACE VIEW reporting_ocpusagelineitem_vm_staging_view AS
SELECT
    staged.generation,
    staged.source_uuid,
    staged.report_period_id,
    staged.report_period_start,
    staged.report_period_end,
    staged.interval_start,
    staged.interval_end,
    staged.vm_cpu_limit_cores_e12 * 1e-12 AS vm_cpu_limit_cores,
    staged.vm_cpu_limit_core_hours_e12 * 1e-12 AS vm_cpu_limit_core_hours,
    staged.vm_cpu_request_cores_e12 * 1e-12 AS vm_cpu_request_cores,
    staged.vm_cpu_request_core_hours_e12 * 1e-12 AS vm_cpu_request_core_hours,
    staged.vm_cpu_request_sockets_e12 * 1e-12 AS vm_cpu_request_sockets,
    staged.vm_cpu_request_threads_e12 * 1e-12 AS vm_cpu_request_threads,
    staged.vm_memory_limit_gigabytes_e12 * 1e-12 AS vm_memory_limit_gigabytes,
    staged.vm_memory_limit_gigabyte_hours_e12 * 1e-12 AS vm_memory_limit_gigabyte_hours,
    staged.vm_memory_request_gigabytes_e12 * 1e-12 AS vm_memory_request_gigabytes,
    staged.vm_memory_request_gigabyte_hours_e12 * 1e-12 AS vm_memory_request_gigabyte_hours,
    staged.vm_memory_usage_gigabyte_hours_e12 * 1e-12 AS vm_memory_usage_gigabyte_hours,
    staged.vm_disk_allocated_size_gigabyte_hours_e12 * 1e-12 AS vm_disk_allocated_size_gigabyte_hours,
    staged.vm_uptime_total_seconds_e6 * 1e-6 AS vm_uptime_total_seconds,
    staged.vm_cpu_request_socket_seconds_e6 * 1e-6 AS vm_cpu_request_socket_seconds,
    staged.vm_cpu_request_thread_seconds_e6 * 1e-6 AS vm_cpu_request_thread_seconds,
    staged.vm_cpu_usage_total_seconds_e6 * 1e-6 AS vm_cpu_usage_total_seconds,
    vm_labels.labels AS vm_labels,
    staged.namespace,
    staged.node,
    staged.vm_name,
    staged.resource_id,
    staged.vm_instance_type,
    staged.vm_os,
    staged.vm_guest_os_arch,
    staged.vm_guest_os_name,
    staged.vm_guest_os_version,
    staged.vm_device,
    staged.vm_volume_mode,
    staged.vm_persistentvolumeclaim_name,
    day.processed_at IS NOT NULL AS processed
FROM reporting_ocpusagelineitem_vm_staging AS staged
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
LEFT JOIN gristmill_label_set AS vm_labels
    ON vm_labels.id = staged.vm_labels_id;

COMMENT ON COLUMN reporting_ocpusagelineitem_vm_staging_view.processed
    IS 'Not so for rows of a payload that lost its day to another one';
