-- Day parts of nodes: what the hours of pods say of the nodes that they ran on, made when
-- those of reporting_ocpusagelineitem_pod_day_staging are. By interval, since two parts may
-- meet in one, and a node's capacity is its largest of each.
--
-- Grain: one row per generation, exact start of an interval, and node; or several, which
-- are to be merged.

CREATE TABLE reporting_ocpusagelineitem_node_hour_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    interval_start timestamptz NOT NULL,
    node_name_id bigint NOT NULL,
    node_capacity_cpu_core_hours_e12 bigint,
    node_capacity_memory_gigabyte_hours_e12 bigint,
    node_role text,
    rows bigint NOT NULL
)
PARTITION BY RANGE (interval_start);

-- Replica identity: as for the hours of pods.
ALTER TABLE reporting_ocpusagelineitem_node_hour_staging REPLICA IDENTITY FULL;

-- As for the hours of pods: block ranges suffice.
CREATE INDEX reporting_ocpusagelineitem_node_hour_staging_index
    ON reporting_ocpusagelineitem_node_hour_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_node_hour_staging.node_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_node_hour_staging.node_role
    IS 'The greatest of those that we know; null when there is none';
COMMENT ON COLUMN reporting_ocpusagelineitem_node_hour_staging.rows IS 'The hourly rows of pods that it is made of';
