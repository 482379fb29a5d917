-- Day parts of pods: what an engine other than Postgres made of the hours of a generation
-- when it was loaded. Such hours are not in reporting_ocpusagelineitem_pod_staging.
--
-- Sums are whole counts of 10^-12 without bounds; a measure is null when no hour has one.
--
-- Grain: one row per generation, UTC day, namespace, node, pod, own label set and machine;
-- or several, which are to be merged.

CREATE TABLE reporting_ocpusagelineitem_pod_day_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    interval_start timestamptz NOT NULL,
    namespace_name_id bigint NOT NULL,
    node_name_id bigint NOT NULL,
    pod text NOT NULL,
    pod_labels_id bigint,
    resource_id_name_id bigint,
    node_capacity_cpu_cores_e12 bigint,
    node_capacity_memory_gigabytes_e12 bigint,
    pod_usage_cpu_core_hours_e12 numeric,
    pod_request_cpu_core_hours_e12 numeric,
    pod_limit_cpu_core_hours_e12 numeric,
    pod_effective_usage_cpu_core_hours_e12 numeric,
    pod_usage_memory_gigabyte_hours_e12 numeric,
    pod_request_memory_gigabyte_hours_e12 numeric,
    pod_limit_memory_gigabyte_hours_e12 numeric,
    pod_effective_usage_memory_gigabyte_hours_e12 numeric,
    rows bigint NOT NULL
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the hours of pods.
ALTER TABLE reporting_ocpusagelineitem_pod_day_staging REPLICA IDENTITY FULL;

-- As for the hours of pods: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_pod_day_staging_index
    ON reporting_ocpusagelineitem_pod_day_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.interval_start IS 'The first instant of the UTC day';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.namespace_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.node_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.resource_id_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.pod_labels_id IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_day_staging.rows IS 'The hourly rows that it is made of';
