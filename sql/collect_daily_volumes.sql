-- Sums a day's staged hours of volumes.
--
-- Reads   reporting_ocpusagelineitem_storage_staging  one row per generation, hour and volume
-- Writes  pg_temp.daily_volumes                       one row per volume, claim, pod and own label sets; see make_daily_tables
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
        staged.namespace,
        staged.pod,
        staged.persistentvolumeclaim,
        staged.persistentvolume,
        staged.storageclass,
        staged.csi_volume_handle,
        staged.persistentvolume_labels_id,
        staged.persistentvolumeclaim_labels_id,
        COALESCE(max(staged.persistentvolumeclaim_capacity_gigabytes_e12), 0) AS capacity_gigabytes_e12,
        COALESCE(sum(staged.persistentvolumeclaim_capacity_gigabyte_months_e12), 0) AS capacity_gigabyte_months_e12,
        COALESCE(sum(staged.volume_request_storage_gigabyte_months_e12), 0) AS request_gigabyte_months_e12,
        COALESCE(sum(staged.persistentvolumeclaim_usage_gigabyte_months_e12), 0) AS usage_gigabyte_months_e12
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
        staged.csi_volume_handle,
        staged.persistentvolume_labels_id,
        staged.persistentvolumeclaim_labels_id;

    ANALYZE pg_temp.daily_volumes;
END
$$;
