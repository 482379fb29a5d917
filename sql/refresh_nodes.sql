-- Notes the nodes that a day's pods ran on. The capacity is the day's; a role or
-- an architecture that we already know stays.
--
-- Reads   pg_temp.daily_pods   one row per namespace, node, pod, own label set and machine; see make_daily_tables
-- Reads   pg_temp.daily_nodes  one row per node; see make_daily_tables
-- Writes  reporting_ocp_nodes  one row per cluster, node and machine
--
-- source  uuid  the source

CREATE OR REPLACE FUNCTION refresh_nodes(source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    WITH pods AS (
        -- With one machine each.
        SELECT
            pod.node,
            COALESCE(max(pod.resource_id), '') AS resource_id,
            max(pod.node_capacity_cpu_cores_e12) AS cpu_cores_e12
        FROM pg_temp.daily_pods AS pod
        WHERE pod.node <> ''
        GROUP BY pod.namespace, pod.node, pod.pod, pod.pod_labels_id
    ),
    machines AS (
        -- One row per node and machine that it was on.
        SELECT
            pod.node,
            pod.resource_id,
            max(pod.cpu_cores_e12) AS cpu_cores_e12
        FROM pods AS pod
        GROUP BY pod.node, pod.resource_id
    ),
    pod_signs AS (
        -- What its pods say about a node's role.
        SELECT
            pod.node,
            bool_or(pod.namespace = 'openshift-kube-apiserver') AS has_apiserver
        FROM pg_temp.daily_pods AS pod
        GROUP BY pod.node
    )
    INSERT INTO reporting_ocp_nodes AS known (
        node, resource_id, node_capacity_cpu_cores, node_role, architecture, cluster_id
    )
    SELECT
        machine.node,
        machine.resource_id,
        round(machine.cpu_cores_e12 * 1e-12, 2),
        CASE
            WHEN node.node_role IS NOT NULL THEN node.node_role
            WHEN sign.has_apiserver THEN 'master'
            WHEN node.node_role_label = 'infra' THEN 'infra'
            ELSE 'worker'
        END,
        lower(NULLIF(node.architecture, '')),
        cluster.uuid
    FROM machines AS machine
    JOIN pod_signs AS sign
        ON sign.node = machine.node
    JOIN pg_temp.daily_nodes AS node
        ON node.node = machine.node
    JOIN reporting_ocp_clusters AS cluster
        ON cluster.provider_id = source
    ON CONFLICT (cluster_id, node, resource_id) DO UPDATE
    SET
        node_capacity_cpu_cores = EXCLUDED.node_capacity_cpu_cores,
        node_role = COALESCE(NULLIF(known.node_role, ''), EXCLUDED.node_role),
        architecture = COALESCE(NULLIF(known.architecture, ''), EXCLUDED.architecture)
    WHERE
        known.node_capacity_cpu_cores IS DISTINCT FROM EXCLUDED.node_capacity_cpu_cores
        OR COALESCE(known.node_role, '') = ''
        OR (COALESCE(known.architecture, '') = '' AND EXCLUDED.architecture IS NOT NULL);
END
$$;
