-- Summarises the pods of a day. Returns how many rows that made.
--
-- Reads   pg_temp.daily_pods                        one row per namespace, node, pod, own label set and machine; see make_daily_tables
-- Reads   pg_temp.daily_nodes                       one row per node; see make_daily_tables
-- Reads   pg_temp.daily_namespaces                  one row per namespace; see make_daily_tables
-- Writes  reporting_ocpusagelineitem_daily_summary  one row per namespace, node and merged label set
--
-- usage_day  date     a UTC day
-- period     integer  the report period
-- cluster    text     the cluster's id, for the rows
-- alias      text     the cluster's alias, for the rows
-- source     uuid     the source
--
-- Labels of a pod win over those of its namespace, those over its node's. Pods
-- on no node are left out.

CREATE OR REPLACE FUNCTION insert_pod_rows(
    usage_day date,
    period integer,
    cluster text,
    alias text,
    source uuid
)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    uuid_start CONSTANT text := left(gen_random_uuid()::text, -12);
    rows_inserted bigint;
BEGIN
    WITH cluster_capacities AS (
        -- One row: the day's.
        SELECT
            sum(node.cpu_core_hours_e12) AS cpu_core_hours_e12,
            sum(node.memory_gigabyte_hours_e12) AS memory_gigabyte_hours_e12
        FROM pg_temp.daily_nodes AS node
    ),
    pods AS (
        -- Different label sets of pods may merge to the same one.
        SELECT
            pod.*,
            node.labels || namespace.labels || COALESCE(own.labels, '{}') AS pod_labels,
            node.cpu_core_hours_e12 AS node_cpu_core_hours_e12,
            node.memory_gigabyte_hours_e12 AS node_memory_gigabyte_hours_e12,
            namespace.cost_category_id
        FROM pg_temp.daily_pods AS pod
        JOIN pg_temp.daily_nodes AS node
            ON node.node = pod.node
        JOIN pg_temp.daily_namespaces AS namespace
            ON namespace.namespace = pod.namespace
        LEFT JOIN gristmill_label_set AS own
            ON own.id = pod.pod_labels_id
        WHERE pod.node <> ''
    )
    INSERT INTO reporting_ocpusagelineitem_daily_summary (
        uuid,
        report_period_id,
        cluster_id,
        cluster_alias,
        data_source,
        namespace,
        node,
        resource_id,
        usage_start,
        usage_end,
        pod_labels,
        pod_usage_cpu_core_hours,
        pod_request_cpu_core_hours,
        pod_effective_usage_cpu_core_hours,
        pod_limit_cpu_core_hours,
        pod_usage_memory_gigabyte_hours,
        pod_request_memory_gigabyte_hours,
        pod_effective_usage_memory_gigabyte_hours,
        pod_limit_memory_gigabyte_hours,
        node_capacity_cpu_cores,
        node_capacity_cpu_core_hours,
        node_capacity_memory_gigabytes,
        node_capacity_memory_gigabyte_hours,
        cluster_capacity_cpu_core_hours,
        cluster_capacity_memory_gigabyte_hours,
        infrastructure_usage_cost,
        source_uuid,
        cost_category_id,
        all_labels
    )
    SELECT
        next_uuid(uuid_start),
        period,
        cluster,
        alias,
        'Pod',
        pod.namespace,
        pod.node,
        max(pod.resource_id),
        usage_day,
        usage_day,
        pod.pod_labels,
        sum(pod.pod_usage_cpu_core_hours_e12) * 1e-12,
        sum(pod.pod_request_cpu_core_hours_e12) * 1e-12,
        sum(pod.pod_effective_usage_cpu_core_hours_e12) * 1e-12,
        sum(pod.pod_limit_cpu_core_hours_e12) * 1e-12,
        sum(pod.pod_usage_memory_gigabyte_hours_e12) * 1e-12,
        sum(pod.pod_request_memory_gigabyte_hours_e12) * 1e-12,
        sum(pod.pod_effective_usage_memory_gigabyte_hours_e12) * 1e-12,
        sum(pod.pod_limit_memory_gigabyte_hours_e12) * 1e-12,
        max(pod.node_capacity_cpu_cores_e12) * 1e-12,
        max(pod.node_cpu_core_hours_e12) * 1e-12,
        max(pod.node_capacity_memory_gigabytes_e12) * 1e-12,
        max(pod.node_memory_gigabyte_hours_e12) * 1e-12,
        max(whole.cpu_core_hours_e12) * 1e-12,
        max(whole.memory_gigabyte_hours_e12) * 1e-12,
        '{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}',
        source,
        max(pod.cost_category_id),
        pod.pod_labels
    FROM pods AS pod
    CROSS JOIN cluster_capacities AS whole
    GROUP BY pod.namespace, pod.node, pod.pod_labels;

    GET DIAGNOSTICS rows_inserted = ROW_COUNT;
    RETURN rows_inserted;
END
$$;
