-- Which pods had which GPUs, or slices of them, hour by hour, as reported.
-- Names, and what follows from a slice's profile, are put in order by the
-- summary.
--
-- Measures are fixed-point integers, so that sums are exact: a column that ends
-- in _e6 holds units of 10^-6.
--
-- Grain: one row per generation, hour, pod and card or slice.

CREATE TABLE reporting_ocpusagelineitem_gpu_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    gpu_memory_capacity_mib_e6 bigint,
    gpu_pod_uptime_e6 bigint,
    gpu_pod_utilization_e6 bigint,
    gpu_max_slices_e6 bigint,
    namespace varchar(253) NOT NULL,
    node varchar(253) NOT NULL,
    pod text NOT NULL,
    gpu_uuid text NOT NULL,
    gpu_model_name text NOT NULL,
    gpu_vendor_name text NOT NULL,
    mig_instance_id text,
    mig_profile text,
    mig_strategy text,
    -- The summary has slices as an integer. The host puts rows with other numbers into
    -- quarantine.
    CONSTRAINT reporting_ocpusagelineitem_gpu_staging_gpu_max_slices_check
        CHECK (gpu_max_slices_e6 BETWEEN -2147483648000000 AND 2147483647000000)
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the pod rows, nothing is unique.
ALTER TABLE reporting_ocpusagelineitem_gpu_staging REPLICA IDENTITY FULL;

-- As for the pod rows: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_gpu_staging_index
    ON reporting_ocpusagelineitem_gpu_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.gpu_memory_capacity_mib_e6
    IS 'Of the whole card, even if the row is about a slice';
COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.gpu_pod_uptime_e6 IS 'Seconds';
COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.gpu_pod_utilization_e6
    IS 'Missing in reports of old operators';
COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.gpu_max_slices_e6
    IS 'Missing in reports of old operators, and blank in some of new ones';
COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.gpu_uuid
    IS 'Of the card, even if the row is about a slice';
COMMENT ON COLUMN reporting_ocpusagelineitem_gpu_staging.mig_profile
    IS 'Blank for a whole card; 2g.10gb for a slice';
