-- Sums a day's staged hours of volumes, and what engines have folded of others.
--
-- Reads   reporting_ocpusagelineitem_storage_staging     one row per generation, hour and volume
-- Reads   reporting_ocpusagelineitem_volume_day_staging  one row or several per generation and row of daily_volumes
-- Writes  pg_temp.daily_volumes                          one row per volume, claim, pod and own label sets; see make_daily_tables
-- Writes  pg_temp.volume_drivers                         one row per day, volume and driver; see make_daily_tables
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it

CREATE OR REPLACE FUNCTION collect_daily_volumes(usage_day date, generations bigint[])
RETURNS void
LANGUAGE plpgsql
-- As in collect_daily_pods.
SET enable_seqscan = off
SET enable_sort = off
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    WITH sums AS MATERIALIZED (
        -- Hours are added up before they meet parts: whole numbers of 64 bits, which is faster.
        SELECT
            staged.namespace,
            staged.pod,
            staged.persistentvolumeclaim,
            staged.persistentvolume,
            staged.storageclass,
            staged.csi_driver,
            staged.csi_volume_handle,
            staged.persistentvolume_labels_id,
            staged.persistentvolumeclaim_labels_id,
            max(staged.persistentvolumeclaim_capacity_gigabytes_e12) AS capacity_gigabytes_e12,
            sum(staged.persistentvolumeclaim_capacity_gigabyte_months_e12) AS capacity_gigabyte_months_e12,
            sum(staged.volume_request_storage_gigabyte_months_e12) AS request_gigabyte_months_e12,
            sum(staged.persistentvolumeclaim_usage_gigabyte_months_e12) AS usage_gigabyte_months_e12
        FROM reporting_ocpusagelineitem_storage_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
        GROUP BY
            staged.namespace,
            staged.pod,
            staged.persistentvolumeclaim,
            staged.persistentvolume,
            staged.storageclass,
            staged.csi_driver,
            staged.csi_volume_handle,
            staged.persistentvolume_labels_id,
            staged.persistentvolumeclaim_labels_id
        UNION ALL
        SELECT
            part.namespace,
            part.pod,
            part.persistentvolumeclaim,
            part.persistentvolume,
            part.storageclass,
            part.csi_driver,
            part.csi_volume_handle,
            part.persistentvolume_labels_id,
            part.persistentvolumeclaim_labels_id,
            part.persistentvolumeclaim_capacity_gigabytes_e12,
            part.persistentvolumeclaim_capacity_gigabyte_months_e12,
            part.volume_request_storage_gigabyte_months_e12,
            part.persistentvolumeclaim_usage_gigabyte_months_e12
        FROM reporting_ocpusagelineitem_volume_day_staging AS part
        WHERE
            part.generation = ANY (generations)
            AND part.interval_start >= day_start
            AND part.interval_start < day_end
    ),
    drivers AS (
        INSERT INTO pg_temp.volume_drivers (csi_driver, persistentvolume)
        SELECT DISTINCT
            summed.csi_driver,
            summed.persistentvolume
        FROM sums AS summed
        WHERE summed.csi_driver <> ''
    )
    INSERT INTO pg_temp.daily_volumes (
        namespace,
        pod,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        csi_volume_handle,
        persistentvolume_labels_id,
        persistentvolumeclaim_labels_id,
        capacity_gigabytes_e12,
        capacity_gigabyte_months_e12,
        request_gigabyte_months_e12,
        usage_gigabyte_months_e12
    )
    SELECT
        summed.namespace,
        summed.pod,
        summed.persistentvolumeclaim,
        summed.persistentvolume,
        summed.storageclass,
        summed.csi_volume_handle,
        summed.persistentvolume_labels_id,
        summed.persistentvolumeclaim_labels_id,
        COALESCE(max(summed.capacity_gigabytes_e12), 0),
        COALESCE(sum(summed.capacity_gigabyte_months_e12), 0),
        COALESCE(sum(summed.request_gigabyte_months_e12), 0),
        COALESCE(sum(summed.usage_gigabyte_months_e12), 0)
    FROM sums AS summed
    GROUP BY
        summed.namespace,
        summed.pod,
        summed.persistentvolumeclaim,
        summed.persistentvolume,
        summed.storageclass,
        summed.csi_volume_handle,
        summed.persistentvolume_labels_id,
        summed.persistentvolumeclaim_labels_id;
END
$$;
