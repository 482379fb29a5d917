-- Notes which cloud a source seems to run on: the one that is declared, or else the
-- first of AWS, Azure and GCP that its machines or the volumes of some days show
-- signs of.
--
-- Reads   reporting_ocp_infrastructure_map           one row per declared source
-- Reads   reporting_ocp_nodes                        one row per cluster, node and machine
-- Reads   pg_temp.volume_drivers                     one row per day, volume and driver; see make_daily_tables
-- Writes  pg_temp.volume_drivers                     nothing stays
-- Writes  gristmill_cloud_hint                       one row per source
--
-- source  uuid  the source
--
-- Days that show no sign leave the hint as it is.

CREATE OR REPLACE FUNCTION refresh_cloud_hint(source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    WITH machines AS (
        SELECT
            node.resource_id,
            -- Of the clouds, only AWS names machines in a way of its own.
            node.resource_id ~ '^i-[0-9a-f]{8,17}$' AS is_aws
        FROM reporting_ocp_nodes AS node
        JOIN reporting_ocp_clusters AS cluster
            ON cluster.uuid = node.cluster_id
        WHERE cluster.provider_id = source
    ),
    volumes AS (
        -- Each once, of all its days.
        SELECT DISTINCT
            noted.csi_driver,
            noted.persistentvolume
        FROM pg_temp.volume_drivers AS noted
    ),
    drivers AS (
        SELECT
            volume.csi_driver,
            count(volume.persistentvolume) AS volumes
        FROM volumes AS volume
        GROUP BY volume.csi_driver
    ),
    cloud_drivers AS (
        SELECT *
        FROM (
            VALUES
                ('ebs.csi.aws.com', 'AWS', 1),
                ('efs.csi.aws.com', 'AWS', 1),
                ('disk.csi.azure.com', 'Azure', 2),
                ('file.csi.azure.com', 'Azure', 2),
                ('pd.csi.storage.gke.io', 'GCP', 3),
                ('filestore.csi.storage.gke.io', 'GCP', 3)
        ) AS cloud (csi_driver, provider, position)
    ),
    signs AS (
        SELECT
            declared.infrastructure_type AS provider,
            0 AS position,
            jsonb_build_object('declared', true) AS sign
        FROM reporting_ocp_infrastructure_map AS declared
        WHERE declared.source_uuid = source
        UNION ALL
        SELECT
            'AWS',
            1,
            jsonb_build_object(
                'machines', count(*) FILTER (WHERE machine.is_aws),
                'of', count(*),
                'such_as', min(machine.resource_id) FILTER (WHERE machine.is_aws)
            )
        FROM machines AS machine
        HAVING bool_or(machine.is_aws)
        UNION ALL
        SELECT
            cloud.provider,
            cloud.position,
            jsonb_build_object('csi_driver', driver.csi_driver, 'volumes', driver.volumes)
        FROM drivers AS driver
        JOIN cloud_drivers AS cloud
            ON cloud.csi_driver = driver.csi_driver
    )
    INSERT INTO gristmill_cloud_hint AS known (source_uuid, provider, evidence)
    SELECT
        source,
        sign.provider,
        jsonb_agg(sign.sign ORDER BY sign.sign)
    FROM signs AS sign
    GROUP BY
        sign.provider,
        sign.position
    ORDER BY sign.position
    LIMIT 1
    ON CONFLICT (source_uuid) DO UPDATE
    SET
        provider = EXCLUDED.provider,
        evidence = EXCLUDED.evidence,
        found_at = CASE known.provider WHEN EXCLUDED.provider THEN known.found_at ELSE EXCLUDED.found_at END
    WHERE (known.provider, known.evidence) IS DISTINCT FROM (EXCLUDED.provider, EXCLUDED.evidence);

    -- Plans outlive that, other than a TRUNCATE.
    DELETE FROM pg_temp.volume_drivers;
END
$$;
