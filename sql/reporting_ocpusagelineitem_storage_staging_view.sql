-- What volumes held, hour by hour, as people read it. Measures are in their
-- unit, labels are spelt out, and processed says whether the daily summary was
-- made of the row.
--
-- Reads  reporting_ocpusagelineitem_storage_staging  one row per generation, hour and volume
-- Reads  gristmill_generation                        one row per run that loaded rows
-- Reads  gristmill_day_manifest                      one row per source, UTC day and manifest
-- Reads  gristmill_day                               one row per source and UTC day
-- Reads  gristmill_label_set                         one row per distinct set
--
-- Grain: one row per staged row.

CREATE OR REPLACE VIEW reporting_ocpusagelineitem_storage_staging_view AS
SELECT
    staged.generation,
    staged.source_uuid,
    staged.report_period_id,
    staged.report_period_start,
    staged.report_period_end,
    staged.interval_start,
    staged.interval_end,
    staged.persistentvolumeclaim_capacity_gigabytes_e12 * 1e-12 AS persistentvolumeclaim_capacity_gigabytes,
    staged.persistentvolumeclaim_capacity_gigabyte_months_e12 * 1e-12
        AS persistentvolumeclaim_capacity_gigabyte_months,
    staged.volume_request_storage_gigabyte_months_e12 * 1e-12
        AS volume_request_storage_gigabyte_months,
    staged.persistentvolumeclaim_usage_gigabyte_months_e12 * 1e-12
        AS persistentvolumeclaim_usage_gigabyte_months,
    persistentvolume_labels.labels AS persistentvolume_labels,
    persistentvolumeclaim_labels.labels AS persistentvolumeclaim_labels,
    staged.namespace,
    staged.pod,
    staged.persistentvolumeclaim,
    staged.persistentvolume,
    staged.storageclass,
    staged.node,
    staged.csi_driver,
    staged.csi_volume_handle,
    day.processed_at IS NOT NULL AS processed
FROM reporting_ocpusagelineitem_storage_staging AS staged
LEFT JOIN gristmill_generation AS loaded
    ON loaded.id = staged.generation
    AND loaded.state = 'complete'
LEFT JOIN gristmill_day_manifest AS holder
    ON holder.manifest_id = loaded.manifest_id
    AND holder.source_uuid = loaded.source_uuid
    AND holder.usage_day = (staged.interval_start AT TIME ZONE 'UTC')::date
LEFT JOIN gristmill_day AS day
    ON day.source_uuid = holder.source_uuid
    AND day.usage_day = holder.usage_day
LEFT JOIN gristmill_label_set AS persistentvolume_labels
    ON persistentvolume_labels.id = staged.persistentvolume_labels_id
LEFT JOIN gristmill_label_set AS persistentvolumeclaim_labels
    ON persistentvolumeclaim_labels.id = staged.persistentvolumeclaim_labels_id;

COMMENT ON COLUMN reporting_ocpusagelineitem_storage_staging_view.processed
    IS 'Not so for rows of a payload that lost its day to another one';
