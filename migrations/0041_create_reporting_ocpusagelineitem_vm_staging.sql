-- What virtual machines used and were given, hour by hour, as the stages left it.
--
-- Measures are fixed-point integers, so that sums are exact: a column that ends
-- in _e12 holds units of 10^-12. A column that ends in _e6 holds units of
-- 10^-6: seconds that no stage converts.
--
-- Grain: one row per generation, hour, namespace and machine.

CREATE TABLE reporting_ocpusagelineitem_vm_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    vm_cpu_limit_cores_e12 bigint,
    vm_cpu_limit_core_hours_e12 bigint,
    vm_cpu_request_cores_e12 bigint,
    vm_cpu_request_core_hours_e12 bigint,
    vm_cpu_request_sockets_e12 bigint,
    vm_cpu_request_threads_e12 bigint,
    vm_memory_limit_gigabytes_e12 bigint,
    vm_memory_limit_gigabyte_hours_e12 bigint,
    vm_memory_request_gigabytes_e12 bigint,
    vm_memory_request_gigabyte_hours_e12 bigint,
    vm_memory_usage_gigabyte_hours_e12 bigint,
    vm_disk_allocated_size_gigabyte_hours_e12 bigint,
    vm_uptime_total_seconds_e6 bigint,
    vm_cpu_request_socket_seconds_e6 bigint,
    vm_cpu_request_thread_seconds_e6 bigint,
    vm_cpu_usage_total_seconds_e6 bigint,
    vm_labels_id bigint,
    namespace varchar(253) NOT NULL,
    node varchar(253) NOT NULL,
    vm_name text NOT NULL,
    resource_id varchar(253),
    vm_instance_type text,
    vm_os text,
    vm_guest_os_arch text,
    vm_guest_os_name text,
    vm_guest_os_version text,
    vm_device text,
    vm_volume_mode text,
    vm_persistentvolumeclaim_name text
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the pod rows, nothing is unique.
ALTER TABLE reporting_ocpusagelineitem_vm_staging REPLICA IDENTITY FULL;

-- As for the pod rows: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_vm_staging_index
    ON reporting_ocpusagelineitem_vm_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_vm_staging.vm_labels_id IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_vm_staging.vm_persistentvolumeclaim_name
    IS 'One disk only, even if the machine has several';
