-- The labels of namespaces, hour by hour.
--
-- Grain: one row per generation, hour and namespace; a report may repeat rows.

CREATE TABLE reporting_ocpusagelineitem_namespace_labels_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    namespace_labels_id bigint,
    namespace varchar(253) NOT NULL
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the pod rows, nothing is unique.
ALTER TABLE reporting_ocpusagelineitem_namespace_labels_staging REPLICA IDENTITY FULL;

-- As for the pod rows: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_namespace_labels_staging_index
    ON reporting_ocpusagelineitem_namespace_labels_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_namespace_labels_staging.namespace_labels_id
    IS 'Refers to gristmill_label_set';
