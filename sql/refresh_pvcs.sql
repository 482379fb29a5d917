-- Notes the volumes of a day.
--
-- Reads   pg_temp.daily_volumes  one row per volume, claim, pod and own label sets; see make_daily_tables
-- Writes  reporting_ocp_pvcs     one row per cluster, volume and claim
--
-- source  uuid  the source

CREATE OR REPLACE FUNCTION refresh_pvcs(source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO reporting_ocp_pvcs AS known (
        persistent_volume, persistent_volume_claim, csi_volume_handle, cluster_id
    )
    SELECT
        volume.persistentvolume,
        volume.persistentvolumeclaim,
        max(volume.csi_volume_handle),
        cluster.uuid
    FROM pg_temp.daily_volumes AS volume
    JOIN reporting_ocp_clusters AS cluster
        ON cluster.provider_id = source
    GROUP BY volume.persistentvolume, volume.persistentvolumeclaim, cluster.uuid
    ON CONFLICT (cluster_id, persistent_volume, persistent_volume_claim) DO UPDATE
    SET csi_volume_handle = EXCLUDED.csi_volume_handle
    WHERE
        EXCLUDED.csi_volume_handle <> ''
        AND known.csi_volume_handle IS DISTINCT FROM EXCLUDED.csi_volume_handle;
END
$$;
