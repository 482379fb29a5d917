-- Day parts of volumes: what an engine other than Postgres made of the hours of a
-- generation when it was loaded. Such hours are not in
-- reporting_ocpusagelineitem_storage_staging.
--
-- Sums are whole counts of 10^-12 without bounds; a measure is null when no hour has one.
--
-- Grain: one row per generation, UTC day, volume, claim, pod, driver, handle and own label
-- sets; or several, which are to be merged.

CREATE TABLE reporting_ocpusagelineitem_volume_day_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    interval_start timestamptz NOT NULL,
    namespace varchar(253) NOT NULL,
    pod text NOT NULL,
    persistentvolumeclaim varchar(253) NOT NULL,
    persistentvolume varchar(253) NOT NULL,
    storageclass varchar(253) NOT NULL,
    csi_driver text,
    csi_volume_handle text,
    persistentvolume_labels_id bigint,
    persistentvolumeclaim_labels_id bigint,
    persistentvolumeclaim_capacity_gigabytes_e12 bigint,
    persistentvolumeclaim_capacity_gigabyte_months_e12 numeric,
    volume_request_storage_gigabyte_months_e12 numeric,
    persistentvolumeclaim_usage_gigabyte_months_e12 numeric,
    rows bigint NOT NULL
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the hours of pods.
ALTER TABLE reporting_ocpusagelineitem_volume_day_staging REPLICA IDENTITY FULL;

-- As for the hours of pods: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_volume_day_staging_index
    ON reporting_ocpusagelineitem_volume_day_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_volume_day_staging.interval_start
    IS 'The first instant of the UTC day';
COMMENT ON COLUMN reporting_ocpusagelineitem_volume_day_staging.persistentvolume_labels_id
    IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_volume_day_staging.persistentvolumeclaim_labels_id
    IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_volume_day_staging.rows IS 'The hourly rows that it is made of';
