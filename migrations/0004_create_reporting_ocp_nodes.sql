-- The nodes that a cluster has been seen with. The summary decides by their
-- role whether capacity that no pod used was the platform's or the workers'.
--
-- Grain: one row per cluster, node and machine.

CREATE TABLE reporting_ocp_nodes (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    node text NOT NULL,
    resource_id text NOT NULL,
    node_capacity_cpu_cores numeric(18, 2),
    node_role text,
    architecture text,
    cluster_id uuid NOT NULL REFERENCES reporting_ocp_clusters (uuid),
    UNIQUE (cluster_id, node, resource_id)
);

COMMENT ON COLUMN reporting_ocp_nodes.resource_id IS 'The machine''s name at its cloud; blank on bare metal';
COMMENT ON COLUMN reporting_ocp_nodes.node_role IS 'master, infra or worker';
