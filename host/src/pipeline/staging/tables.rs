//! The staging tables as `migrations/` make them; a test compares the two. The constant
//! lets `check` read a pipeline with no database in reach.

use super::{Counts, NAME_CHARACTERS_MAX, StagingColumn, StagingTable, Storage};

/// Every staging table, by name.
pub const TABLES: [StagingTable; 6] = [
    StagingTable {
        name: "reporting_ocpusagelineitem_gpu_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("gpu_memory_capacity_mib_e6", E6),
            optional("gpu_pod_uptime_e6", E6),
            optional("gpu_pod_utilization_e6", E6),
            optional("gpu_max_slices_e6", GPU_SLICES),
            required("namespace", TEXT_253),
            required("node", TEXT_253),
            required("pod", TEXT),
            required("gpu_uuid", TEXT),
            required("gpu_model_name", TEXT),
            required("gpu_vendor_name", TEXT),
            optional("mig_instance_id", TEXT),
            optional("mig_profile", TEXT),
            optional("mig_strategy", TEXT),
        ],
    },
    StagingTable {
        name: "reporting_ocpusagelineitem_namespace_labels_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("namespace_labels_id", LABEL_SET),
            required("namespace", TEXT_253),
        ],
    },
    StagingTable {
        name: "reporting_ocpusagelineitem_node_labels_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("node_labels_id", LABEL_SET),
            required("node", TEXT_253),
            optional("node_role_label", TEXT),
            optional("architecture", TEXT),
        ],
    },
    StagingTable {
        name: "reporting_ocpusagelineitem_pod_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("pod_usage_cpu_core_hours_e12", E12),
            optional("pod_request_cpu_core_hours_e12", E12),
            optional("pod_limit_cpu_core_hours_e12", E12),
            optional("pod_effective_usage_cpu_core_hours_e12", E12),
            optional("pod_usage_memory_gigabyte_hours_e12", E12),
            optional("pod_request_memory_gigabyte_hours_e12", E12),
            optional("pod_limit_memory_gigabyte_hours_e12", E12),
            optional("pod_effective_usage_memory_gigabyte_hours_e12", E12),
            optional("node_capacity_cpu_cores_e12", E12),
            optional("node_capacity_cpu_core_hours_e12", E12),
            optional("node_capacity_memory_gigabytes_e12", E12),
            optional("node_capacity_memory_gigabyte_hours_e12", E12),
            optional("pod_labels_id", LABEL_SET),
            required("namespace_name_id", NAME),
            required("node_name_id", NAME),
            optional("resource_id_name_id", NAME),
            required("pod", TEXT),
            optional("node_role", TEXT),
        ],
    },
    StagingTable {
        name: "reporting_ocpusagelineitem_storage_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("persistentvolumeclaim_capacity_gigabytes_e12", E12),
            optional("persistentvolumeclaim_capacity_gigabyte_months_e12", E12),
            optional("volume_request_storage_gigabyte_months_e12", E12),
            optional("persistentvolumeclaim_usage_gigabyte_months_e12", E12),
            optional("persistentvolume_labels_id", LABEL_SET),
            optional("persistentvolumeclaim_labels_id", LABEL_SET),
            required("namespace", TEXT_253),
            required("pod", TEXT),
            required("persistentvolumeclaim", TEXT_253),
            required("persistentvolume", TEXT_253),
            required("storageclass", TEXT_253),
            optional("node", TEXT_253),
            optional("csi_driver", TEXT),
            optional("csi_volume_handle", TEXT),
        ],
    },
    StagingTable {
        name: "reporting_ocpusagelineitem_vm_staging",
        columns: &[
            optional("report_period_start", TIMESTAMP),
            optional("report_period_end", TIMESTAMP),
            required("interval_start", TIMESTAMP),
            optional("interval_end", TIMESTAMP),
            optional("vm_cpu_limit_cores_e12", E12),
            optional("vm_cpu_limit_core_hours_e12", E12),
            optional("vm_cpu_request_cores_e12", E12),
            optional("vm_cpu_request_core_hours_e12", E12),
            optional("vm_cpu_request_sockets_e12", E12),
            optional("vm_cpu_request_threads_e12", E12),
            optional("vm_memory_limit_gigabytes_e12", E12),
            optional("vm_memory_limit_gigabyte_hours_e12", E12),
            optional("vm_memory_request_gigabytes_e12", E12),
            optional("vm_memory_request_gigabyte_hours_e12", E12),
            optional("vm_memory_usage_gigabyte_hours_e12", E12),
            optional("vm_disk_allocated_size_gigabyte_hours_e12", E12),
            optional("vm_uptime_total_seconds_e6", E6),
            optional("vm_cpu_request_socket_seconds_e6", E6),
            optional("vm_cpu_request_thread_seconds_e6", E6),
            optional("vm_cpu_usage_total_seconds_e6", E6),
            optional("vm_labels_id", LABEL_SET),
            required("namespace", TEXT_253),
            required("node", TEXT_253),
            required("vm_name", TEXT),
            optional("resource_id", TEXT_253),
            optional("vm_instance_type", TEXT),
            optional("vm_os", TEXT),
            optional("vm_guest_os_arch", TEXT),
            optional("vm_guest_os_name", TEXT),
            optional("vm_guest_os_version", TEXT),
            optional("vm_device", TEXT),
            optional("vm_volume_mode", TEXT),
            optional("vm_persistentvolumeclaim_name", TEXT),
        ],
    },
];

const E12: Storage = fixed_point(12, Counts::ALL);
const E6: Storage = fixed_point(6, Counts::ALL);

/// The summary has slices as an integer.
const GPU_SLICES: Storage = fixed_point(
    6,
    Counts {
        least: i32::MIN as i64 * 1_000_000,
        most: i32::MAX as i64 * 1_000_000,
    },
);

const TIMESTAMP: Storage = Storage::Timestamp;
const LABEL_SET: Storage = Storage::LabelSet;
const NAME: Storage = Storage::Name {
    characters_max: NAME_CHARACTERS_MAX,
};
const TEXT: Storage = Storage::Text {
    characters_max: None,
};
const TEXT_253: Storage = Storage::Text {
    characters_max: Some(253),
};

const fn fixed_point(scale: u32, counts: Counts) -> Storage {
    Storage::FixedPoint { scale, counts }
}

/// A row without it is refused.
const fn required(name: &'static str, storage: Storage) -> StagingColumn {
    StagingColumn {
        name,
        storage,
        required: true,
    }
}

const fn optional(name: &'static str, storage: Storage) -> StagingColumn {
    StagingColumn {
        name,
        storage,
        required: false,
    }
}
