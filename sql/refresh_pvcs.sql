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
        volume.csi_volume_handle,
        cluster.uuid
    FROM (
        SELECT
            daily.persistentvolume,
            daily.persistentvolumeclaim,
            max(daily.csi_volume_handle) AS csi_volume_handle
        FROM pg_temp.daily_volumes AS daily
        GROUP BY daily.persistentvolume, daily.persistentvolumeclaim
    ) AS volume
    JOIN reporting_ocp_clusters AS cluster
        ON cluster.provider_id = source
    -- One that is known as it is would be locked, which writes it.
    WHERE NOT EXISTS (
        SELECT
        FROM reporting_ocp_pvcs AS same
        WHERE
            same.cluster_id = cluster.uuid
            AND same.persistent_volume = volume.persistentvolume
            AND same.persistent_volume_claim = volume.persistentvolumeclaim
            AND (COALESCE(volume.csi_volume_handle, '') = '' OR same.csi_volume_handle = volume.csi_volume_handle)
    )
    -- The index grows in its order.
    ORDER BY volume.persistentvolume, volume.persistentvolumeclaim
    ON CONFLICT (cluster_id, persistent_volume, persistent_volume_claim) DO UPDATE
    SET csi_volume_handle = EXCLUDED.csi_volume_handle
    WHERE
        EXCLUDED.csi_volume_handle <> ''
        AND known.csi_volume_handle IS DISTINCT FROM EXCLUDED.csi_volume_handle;
END
$$;
