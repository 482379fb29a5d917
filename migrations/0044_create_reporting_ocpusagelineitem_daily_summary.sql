-- What projects used each day: the table behind every report and cost model.
-- Rows are contributions that add up. Usage rows are ours: pods, volumes, and
-- the capacity of a node that no pod used. Rows with a cost are others'.
--
-- Grain: for pods one row per day, namespace, node and label set; for volumes
-- one row per day, namespace, node, volume, claim and label set; for unused
-- capacity one row per day and node.

CREATE TABLE reporting_ocpusagelineitem_daily_summary (
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    report_period_id integer,
    cluster_id varchar(50),
    cluster_alias varchar(256),
    data_source varchar(64),
    namespace varchar(253),
    node varchar(253),
    resource_id varchar(253),
    usage_start date NOT NULL,
    usage_end date NOT NULL,
    pod_labels jsonb,
    pod_usage_cpu_core_hours numeric(33, 15),
    pod_request_cpu_core_hours numeric(33, 15),
    pod_effective_usage_cpu_core_hours numeric(33, 15),
    pod_limit_cpu_core_hours numeric(33, 15),
    pod_usage_memory_gigabyte_hours numeric(33, 15),
    pod_request_memory_gigabyte_hours numeric(33, 15),
    pod_effective_usage_memory_gigabyte_hours numeric(33, 15),
    pod_limit_memory_gigabyte_hours numeric(33, 15),
    node_capacity_cpu_cores numeric(33, 15),
    node_capacity_cpu_core_hours numeric(33, 15),
    node_capacity_memory_gigabytes numeric(33, 15),
    node_capacity_memory_gigabyte_hours numeric(33, 15),
    cluster_capacity_cpu_core_hours numeric(33, 15),
    cluster_capacity_memory_gigabyte_hours numeric(33, 15),
    persistentvolumeclaim varchar(253),
    persistentvolume varchar(253),
    storageclass varchar(253),
    volume_labels jsonb,
    persistentvolumeclaim_capacity_gigabyte numeric(33, 15),
    persistentvolumeclaim_capacity_gigabyte_months numeric(33, 15),
    volume_request_storage_gigabyte_months numeric(33, 15),
    persistentvolumeclaim_usage_gigabyte_months numeric(33, 15),
    infrastructure_raw_cost numeric(33, 15),
    infrastructure_project_raw_cost numeric(33, 15),
    infrastructure_usage_cost jsonb,
    infrastructure_markup_cost numeric(33, 15),
    infrastructure_project_markup_cost numeric(33, 15),
    infrastructure_monthly_cost numeric(33, 15),
    infrastructure_monthly_cost_json jsonb,
    supplementary_usage_cost jsonb,
    supplementary_monthly_cost numeric(33, 15),
    supplementary_monthly_cost_json jsonb,
    infrastructure_project_monthly_cost jsonb,
    supplementary_project_monthly_cost jsonb,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_model_volume_cost numeric(33, 15),
    monthly_cost_type text,
    distributed_cost numeric(33, 15),
    raw_currency text,
    source_uuid uuid,
    cost_category_id integer,
    all_labels jsonb,
    infrastructure_data_in_gigabytes numeric(33, 15),
    infrastructure_data_out_gigabytes numeric(33, 15),
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, uuid)
)
PARTITION BY RANGE (usage_start);

-- A summary replaces the days of a source, and the UI tables are made of them.
CREATE INDEX reporting_ocpusagelineitem_daily_summary_source_index
    ON reporting_ocpusagelineitem_daily_summary (source_uuid, usage_start);

-- Reports that filter or group by tag read this table.
CREATE INDEX reporting_ocpusagelineitem_daily_summary_pod_labels_index
    ON reporting_ocpusagelineitem_daily_summary USING gin (pod_labels);
CREATE INDEX reporting_ocpusagelineitem_daily_summary_volume_labels_index
    ON reporting_ocpusagelineitem_daily_summary USING gin (volume_labels);
CREATE INDEX reporting_ocpusagelineitem_daily_summary_all_labels_index
    ON reporting_ocpusagelineitem_daily_summary USING gin (all_labels);

COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.data_source
    IS 'Pod or Storage; unused capacity is Pod';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.pod_labels
    IS 'Of the pod over those of its namespace over those of its node; null on rows that are not of pods';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.volume_labels
    IS 'Of the claim over those of its volume, namespace and node; null on rows that are not of volumes';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.all_labels IS 'Both of the above, never null';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.node_capacity_cpu_core_hours
    IS 'Of the node and day, repeated on each of its rows: consumers take the maximum';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.cluster_capacity_cpu_core_hours
    IS 'Of the cluster and day, repeated on each of its rows: consumers take the maximum';
COMMENT ON COLUMN reporting_ocpusagelineitem_daily_summary.infrastructure_raw_cost
    IS 'Rows where it is neither null nor 0 come from cloud bills; a summary leaves them alone';
