-- What the pods of each project used each day.
--
-- Grain: one row per day, namespace and kind of rate.

CREATE TABLE reporting_ocp_pod_summary_by_project_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_id text,
    cluster_alias text,
    namespace varchar(253),
    resource_ids text[],
    resource_count integer,
    data_source varchar(64),
    usage_start date NOT NULL,
    usage_end date NOT NULL,
    infrastructure_raw_cost numeric(33, 15),
    infrastructure_usage_cost jsonb,
    infrastructure_markup_cost numeric(33, 15),
    infrastructure_monthly_cost_json jsonb,
    supplementary_usage_cost jsonb,
    supplementary_monthly_cost_json jsonb,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_model_volume_cost numeric(33, 15),
    pod_usage_cpu_core_hours numeric(33, 15),
    pod_request_cpu_core_hours numeric(33, 15),
    pod_effective_usage_cpu_core_hours numeric(33, 15),
    pod_limit_cpu_core_hours numeric(33, 15),
    pod_usage_memory_gigabyte_hours numeric(33, 15),
    pod_request_memory_gigabyte_hours numeric(33, 15),
    pod_effective_usage_memory_gigabyte_hours numeric(33, 15),
    pod_limit_memory_gigabyte_hours numeric(33, 15),
    cluster_capacity_cpu_core_hours numeric(33, 15),
    cluster_capacity_memory_gigabyte_hours numeric(33, 15),
    distributed_cost numeric(33, 15),
    raw_currency text,
    source_uuid uuid,
    cost_category_id integer,
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);

COMMENT ON COLUMN reporting_ocp_pod_summary_by_project_p.resource_ids
    IS 'Machines of the rows, in order; an element is null for rows on none';
COMMENT ON COLUMN reporting_ocp_pod_summary_by_project_p.cluster_capacity_cpu_core_hours
    IS 'Of the cluster and day, repeated on each row: consumers take the maximum';
