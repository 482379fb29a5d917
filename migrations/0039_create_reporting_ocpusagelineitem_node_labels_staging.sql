-- The labels of nodes, hour by hour.
--
-- Grain: one row per generation, hour and node; a report may repeat rows.

CREATE TABLE reporting_ocpusagelineitem_node_labels_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    node_labels_id bigint,
    node varchar(253) NOT NULL,
    node_role_label text,
    architecture text
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the pod rows, nothing is unique.
ALTER TABLE reporting_ocpusagelineitem_node_labels_staging REPLICA IDENTITY FULL;

-- As for the pod rows: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_node_labels_staging_index
    ON reporting_ocpusagelineitem_node_labels_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_node_labels_staging.node_labels_id
    IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_node_labels_staging.node_role_label
    IS 'The label node_role_kubernetes_io, whether that key is enabled or not';
COMMENT ON COLUMN reporting_ocpusagelineitem_node_labels_staging.architecture
    IS 'The label kubernetes_io_arch, whether that key is enabled or not';
