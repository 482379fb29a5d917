-- Summarises the volumes of a day. Returns how many rows that made.
--
-- Reads   pg_temp.daily_volumes                     one row per volume, claim, pod and own label sets; see make_daily_tables
-- Reads   pg_temp.daily_pods                        one row per namespace, node, pod, own label set and machine; see make_daily_tables
-- Reads   pg_temp.daily_nodes                       one row per node; see make_daily_tables
-- Reads   pg_temp.daily_namespaces                  one row per namespace; see make_daily_tables
-- Writes  reporting_ocpusagelineitem_daily_summary  one row per namespace, node, machine, claim,
--                                                   volume, storage class, handle and merged label set
--
-- usage_day  date     a UTC day
-- period     integer  the report period
-- cluster    text     the cluster's id, for the rows
-- alias      text     the cluster's alias, for the rows
-- source     uuid     the source
--
-- A volume is where its pod is, by the pod report. One that was on several nodes
-- has a row for each, with the whole capacity and its share of request and usage.
-- Labels of a claim win over its volume's, those over the namespace's, those
-- over the node's.

CREATE OR REPLACE FUNCTION insert_storage_rows(
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
    rows_inserted bigint;
BEGIN
    WITH pod_nodes AS (
        -- Where each pod with volumes was. One that moved was on several nodes.
        SELECT
            pod.namespace,
            pod.pod,
            pod.node,
            max(pod.resource_id) AS resource_id
        FROM pg_temp.daily_pods AS pod
        WHERE (pod.namespace, pod.pod) IN (
            SELECT
                volume.namespace,
                volume.pod
            FROM pg_temp.daily_volumes AS volume
        )
        GROUP BY pod.namespace, pod.pod, pod.node
    ),
    node_counts AS (
        -- How many nodes a volume was on. No row for one whose pod is not known.
        SELECT
            volume.persistentvolume,
            count(DISTINCT place.node) AS nodes
        FROM pg_temp.daily_volumes AS volume
        JOIN pod_nodes AS place
            ON place.namespace = volume.namespace
            AND place.pod = volume.pod
        GROUP BY volume.persistentvolume
    ),
    volumes AS (
        SELECT
            volume.*,
            place.node,
            place.resource_id,
            COALESCE(node_count.nodes, 1) AS nodes,
            COALESCE(node.labels, '{}')
                || namespace.labels
                || COALESCE(volume_own.labels, '{}')
                || COALESCE(claim_own.labels, '{}') AS volume_labels,
            namespace.cost_category_id
        FROM pg_temp.daily_volumes AS volume
        JOIN pg_temp.daily_namespaces AS namespace
            ON namespace.namespace = volume.namespace
        LEFT JOIN pod_nodes AS place
            ON place.namespace = volume.namespace
            AND place.pod = volume.pod
        LEFT JOIN pg_temp.daily_nodes AS node
            ON node.node = place.node
        LEFT JOIN node_counts AS node_count
            ON node_count.persistentvolume = volume.persistentvolume
        LEFT JOIN gristmill_label_set AS volume_own
            ON volume_own.id = volume.persistentvolume_labels_id
        LEFT JOIN gristmill_label_set AS claim_own
            ON claim_own.id = volume.persistentvolumeclaim_labels_id
    )
    INSERT INTO reporting_ocpusagelineitem_daily_summary (
        report_period_id,
        cluster_id,
        cluster_alias,
        data_source,
        namespace,
        node,
        resource_id,
        usage_start,
        usage_end,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        volume_labels,
        persistentvolumeclaim_capacity_gigabyte,
        persistentvolumeclaim_capacity_gigabyte_months,
        volume_request_storage_gigabyte_months,
        persistentvolumeclaim_usage_gigabyte_months,
        infrastructure_usage_cost,
        source_uuid,
        cost_category_id,
        all_labels
    )
    SELECT
        period,
        cluster,
        alias,
        'Storage',
        volume.namespace,
        volume.node,
        volume.resource_id,
        usage_day,
        usage_day,
        volume.persistentvolumeclaim,
        volume.persistentvolume,
        volume.storageclass,
        volume.volume_labels,
        max(volume.capacity_gigabytes_e12) * 1e-12,
        sum(volume.capacity_gigabyte_months_e12) * 1e-12,
        -- Twenty decimals, so that the column's fifteen are correctly rounded.
        (sum(volume.request_gigabyte_months_e12) * 1e-12)::numeric(38, 20) / volume.nodes,
        (sum(volume.usage_gigabyte_months_e12) * 1e-12)::numeric(38, 20) / volume.nodes,
        '{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}',
        source,
        max(volume.cost_category_id),
        volume.volume_labels
    FROM volumes AS volume
    GROUP BY
        volume.namespace,
        volume.node,
        volume.resource_id,
        volume.persistentvolumeclaim,
        volume.persistentvolume,
        volume.storageclass,
        volume.csi_volume_handle,
        volume.volume_labels,
        -- Follows from the volume.
        volume.nodes;

    GET DIAGNOSTICS rows_inserted = ROW_COUNT;
    RETURN rows_inserted;
END
$$;
