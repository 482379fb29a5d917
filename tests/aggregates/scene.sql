-- Two hours of a day, small enough to add up by hand. Two nodes and a pod without
-- one; a claim, a claim that two nodes share, a volume that nobody claims; labels
-- that change; a machine; a card and a slice. Memory is as CPU, capacity four times.

SELECT register_source('00000000-0000-4000-8000-000000000001', 'cluster-1', 'one');
SELECT ensure_month('2026-01-01');
SELECT ensure_report_period('00000000-0000-4000-8000-000000000001', '2026-01-10');

INSERT INTO reporting_common_costusagereportmanifest (
    id, assembly_id, provider_id, billing_period_start_datetime, num_total_files, coverage_report,
    completed_datetime
)
VALUES (1, 'upload', '00000000-0000-4000-8000-000000000001', '2026-01-01Z', 1, 'pod-usage', now());
INSERT INTO gristmill_run (pipeline, payload) VALUES ('scene', 'scene');
INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid, state)
VALUES (1, 1, '00000000-0000-4000-8000-000000000001', 'complete');
INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
VALUES (1, 'pod-usage', '2026-01-10 00:00Z', 5), (1, 'pod-usage', '2026-01-10 01:00Z', 1);
INSERT INTO gristmill_day (source_uuid, usage_day, manifest_id, hours, rows)
VALUES ('00000000-0000-4000-8000-000000000001', '2026-01-10', 1, 2, 6);
INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
VALUES ('00000000-0000-4000-8000-000000000001', '2026-01-10', 1);

INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
VALUES ('app', true, 'OCP'), ('team', true, 'OCP'), ('old', false, 'OCP');
INSERT INTO gristmill_label_set (id, labels)
VALUES
    (0, '{}'),
    (1, '{"app": "web"}'),
    (2, '{"app": "db"}'),
    (3, '{"team": "red"}'),
    (4, '{"app": "node", "team": "blue"}'),
    (5, '{"team": "green"}');

INSERT INTO gristmill_name (id, name)
VALUES
    (0, ''),
    (1, 'shop'),
    (2, 'kube-system'),
    (11, 'n1'),
    (12, 'n2'),
    (21, 'i-0123456789');

INSERT INTO reporting_ocpusagelineitem_pod_staging (
    generation, source_uuid, report_period_id, interval_start,
    namespace_name_id, node_name_id, pod,
    pod_usage_cpu_core_hours_e12, pod_usage_memory_gigabyte_hours_e12,
    pod_request_cpu_core_hours_e12, pod_request_memory_gigabyte_hours_e12,
    pod_effective_usage_cpu_core_hours_e12, pod_effective_usage_memory_gigabyte_hours_e12,
    pod_limit_cpu_core_hours_e12, pod_limit_memory_gigabyte_hours_e12,
    node_capacity_cpu_cores_e12, node_capacity_cpu_core_hours_e12,
    node_capacity_memory_gigabytes_e12, node_capacity_memory_gigabyte_hours_e12,
    pod_labels_id, node_role, resource_id_name_id
)
SELECT
    1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10Z'::timestamptz + make_interval(hours => hour),
    namespace, node, pod,
    usage * 1e12, usage * 1e12,
    request * 1e12, request * 1e12,
    effective * 1e12, effective * 1e12,
    usage_limit * 1e12, usage_limit * 1e12,
    cores * 1e12, cores * 1e12,
    cores * 4e12, cores * 4e12,
    labels, node_role, resource_id
FROM (
    VALUES
        (0, 1, 11, 'a', 1, 2, 2, 3, 4, 1, 'master', 21),
        (1, 1, 11, 'a', 0.5, 2, 2, 3, 4, 1, 'master', 21),
        (0, 1, 11, 'c', 0.25, 0, 0.25, 0, 4, 1, 'master', 21),
        (0, 1, 12, 'b', 1, 1, 1, 0, 2, 0, '', 0),
        (0, 2, 11, 'k', 0.5, 0.5, 0.5, 0, 4, 0, 'master', 21),
        (0, 1, 0, 'stray', 9, 9, 9, 9, NULL, 0, '', 0)
) AS pod_hour (
    hour, namespace, node, pod, usage, request, effective, usage_limit, cores, labels, node_role, resource_id
);

INSERT INTO reporting_ocpusagelineitem_storage_staging (
    generation, source_uuid, report_period_id, interval_start,
    namespace, pod, persistentvolumeclaim, persistentvolume, storageclass, csi_driver,
    persistentvolumeclaim_capacity_gigabytes_e12,
    persistentvolumeclaim_capacity_gigabyte_months_e12,
    volume_request_storage_gigabyte_months_e12,
    persistentvolumeclaim_usage_gigabyte_months_e12,
    persistentvolume_labels_id, persistentvolumeclaim_labels_id
)
SELECT
    1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10Z'::timestamptz + make_interval(hours => hour),
    namespace, pod, claim, volume, storageclass, driver,
    gigabytes * 1e12, capacity * 1e12, request * 1e12, usage * 1e12,
    volume_labels, claim_labels
FROM (
    VALUES
        (0, 'shop', 'a', 'd1', 'pv1', 'fast', 'ebs.csi.aws.com', 10, 0.1, 0.1, 0.05, 5, 2),
        (1, 'shop', 'a', 'd1', 'pv1', 'fast', 'ebs.csi.aws.com', 10, 0.1, 0.1, 0.05, 5, 2),
        (0, 'shop', 'a', 'd3', 'pv3', 'fast', '', 30, 0.3, 0.3, 0.2, 0, 0),
        (0, 'shop', 'b', 'd3', 'pv3', 'fast', '', 30, 0.3, 0.3, 0.2, 0, 0),
        (0, '', '', '', 'pv2', 'slow', '', 20, 0.2, NULL, NULL, 0, 0)
) AS volume_hour (
    hour, namespace, pod, claim, volume, storageclass, driver, gigabytes, capacity, request, usage,
    volume_labels, claim_labels
);

INSERT INTO reporting_ocpusagelineitem_node_labels_staging (
    generation, source_uuid, report_period_id, interval_start, node, node_labels_id, architecture
)
VALUES
    (1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 00:00Z', 'n1', 4, 'AMD64'),
    (1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 01:00Z', 'n1', 5, 'AMD64');

INSERT INTO reporting_ocpusagelineitem_namespace_labels_staging (
    generation, source_uuid, report_period_id, interval_start, namespace, namespace_labels_id
)
VALUES
    (1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 00:00Z', 'shop', 2),
    (1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 01:00Z', 'shop', 3);

INSERT INTO reporting_ocpusagelineitem_vm_staging (
    generation, source_uuid, report_period_id, interval_start, namespace, node, vm_name,
    vm_persistentvolumeclaim_name
)
VALUES (1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 00:00Z', 'shop', 'n1', 'vm1', 'd1');

INSERT INTO reporting_ocpusagelineitem_gpu_staging (
    generation, source_uuid, report_period_id, interval_start, namespace, node, pod, gpu_uuid,
    gpu_model_name, gpu_vendor_name, gpu_memory_capacity_mib_e6, mig_instance_id, mig_profile, mig_strategy
)
VALUES
    (
        1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 00:00Z', 'shop', 'n1', 'a', 'GPU-1',
        'NVIDIA-A100', 'nvidia_com_gpu', 40960e6, NULL, '', ''
    ),
    (
        1, '00000000-0000-4000-8000-000000000001', 1, '2026-01-10 00:00Z', 'shop', 'n1', 'a', 'GPU-2',
        'NVIDIA-A100', 'nvidia_com_gpu', 40960e6, 'MIG-1', '2g.10gb', 'mixed'
    );
