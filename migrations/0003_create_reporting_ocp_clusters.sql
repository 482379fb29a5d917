-- The clusters, as nodes, volumes and projects refer to them.
--
-- Grain: one row per source.

CREATE TABLE reporting_ocp_clusters (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    cluster_id text NOT NULL,
    cluster_alias text,
    provider_id uuid NOT NULL UNIQUE REFERENCES reporting_tenant_api_provider (uuid)
);

COMMENT ON COLUMN reporting_ocp_clusters.cluster_id
    IS 'As in the manifest; elsewhere in reporting_ocp_* a cluster_id is the uuid of this table';
