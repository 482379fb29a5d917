-- What pods used, requested and were limited to, and the capacity of the node
-- they ran on, hour by hour, as the stages left it. Names that many rows share are in
-- gristmill_name.
--
-- Measures are fixed-point integers, so that sums are exact: a column that ends
-- in _e12 holds units of 10^-12.
--
-- Grain: one row per generation, hour, namespace and pod; a report may repeat rows.

CREATE TABLE reporting_ocpusagelineitem_pod_staging (
    generation bigint NOT NULL,
    source_uuid uuid NOT NULL,
    report_period_id integer NOT NULL,
    report_period_start timestamptz,
    report_period_end timestamptz,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz,
    pod_usage_cpu_core_hours_e12 bigint,
    pod_request_cpu_core_hours_e12 bigint,
    pod_limit_cpu_core_hours_e12 bigint,
    pod_effective_usage_cpu_core_hours_e12 bigint,
    pod_usage_memory_gigabyte_hours_e12 bigint,
    pod_request_memory_gigabyte_hours_e12 bigint,
    pod_limit_memory_gigabyte_hours_e12 bigint,
    pod_effective_usage_memory_gigabyte_hours_e12 bigint,
    node_capacity_cpu_cores_e12 bigint,
    node_capacity_cpu_core_hours_e12 bigint,
    node_capacity_memory_gigabytes_e12 bigint,
    node_capacity_memory_gigabyte_hours_e12 bigint,
    pod_labels_id bigint,
    namespace_name_id bigint NOT NULL,
    node_name_id bigint NOT NULL,
    resource_id_name_id bigint,
    pod text NOT NULL,
    node_role text
)
PARTITION BY RANGE (interval_start);

-- Replica identity: nothing in a row is unique, and a key would have to be made for it.
-- All columns tell a removed row to whoever replicates the table. Loads cost the same;
-- the log grows by rows that are removed, where wal_level is logical.
ALTER TABLE reporting_ocpusagelineitem_pod_staging REPLICA IDENTITY FULL;

-- Rows arrive generation by generation and hour by hour, so block ranges find them
-- nearly as well as a b-tree, at a fraction of its cost: docs/benchmarks.md has the numbers.
CREATE INDEX reporting_ocpusagelineitem_pod_staging_index
    ON reporting_ocpusagelineitem_pod_staging
    USING brin (generation, interval_start) WITH (pages_per_range = 16);

COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.namespace_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.node_name_id
    IS 'Refers to gristmill_name; blank there when it is unknown: such rows count for projects and cluster capacity only';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.resource_id_name_id IS 'Refers to gristmill_name';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.node_capacity_cpu_core_hours_e12
    IS 'Of the node, repeated on every pod of it: never to be summed over pods';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.node_capacity_memory_gigabyte_hours_e12
    IS 'Of the node, like node_capacity_cpu_core_hours_e12';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.pod_labels_id IS 'Refers to gristmill_label_set';
COMMENT ON COLUMN reporting_ocpusagelineitem_pod_staging.node_role IS 'Missing in reports of old operators';
