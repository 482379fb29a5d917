-- What volumes held, hour by hour, as the stages left it.
--
-- Measures are fixed-point integers, so that sums are exact: a column that ends
-- in _e12 holds units of 10^-12.
--
-- Grain: one row per generation, hour and volume (and pod, from some writers).

CREATE TABLE reporting_ocpusagelineitem_storage_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    persistentvolumeclaim_capacity_gigabytes_e12 bigint,
    persistentvolumeclaim_capacity_gigabyte_months_e12 bigint,
    volume_request_storage_gigabyte_months_e12 bigint,
    persistentvolumeclaim_usage_gigabyte_months_e12 bigint,
    persistentvolume_labels_id bigint,
    persistentvolumeclaim_labels_id bigint,
    namespace varchar(253) NOT NULL,
    pod text NOT NULL,
    persistentvolumeclaim varchar(253) NOT NULL,
    persistentvolume varchar(253) NOT NULL,
    storageclass varchar(253) NOT NULL,
    node varchar(253),
    csi_driver text,
    csi_volume_handle text
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the pod rows, nothing is unique.
ALTER TABLE reporting_ocpusagelineitem_storage_staging REPLICA IDENTITY FULL;

-- As for the pod rows: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_storage_staging_index
    ON reporting_ocpusagelineitem_storage_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_storage_staging.persistentvolumeclaim
    IS 'Blank for a volume that nobody claims';
COMMENT ON COLUMN reporting_ocpusagelineitem_storage_staging.node
    IS 'Not used: the summary places a volume where the pod report has its pod';
COMMENT ON COLUMN reporting_ocpusagelineitem_storage_staging.persistentvolume_labels_id
    IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_storage_staging.persistentvolumeclaim_labels_id
    IS 'Refers to gristmill_label_set';
