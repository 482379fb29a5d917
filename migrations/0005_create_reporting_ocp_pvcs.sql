-- The volumes that a cluster has been seen with.
--
-- Grain: one row per cluster, persistent volume and claim.

CREATE TABLE reporting_ocp_pvcs (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    persistent_volume text NOT NULL,
    persistent_volume_claim text NOT NULL,
    csi_volume_handle text,
    cluster_id uuid NOT NULL REFERENCES reporting_ocp_clusters (uuid),
    UNIQUE (cluster_id, persistent_volume, persistent_volume_claim)
);

COMMENT ON COLUMN reporting_ocp_pvcs.persistent_volume_claim IS 'Blank for a volume that nobody claims';
