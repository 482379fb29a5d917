-- What the volumes of each project held each day, claim by claim.
--
-- Grain: one row per day, namespace, claim, storage class and kind of rate.

CREATE TABLE reporting_ocp_volume_summary_by_project_p (
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
    volume_request_storage_gigabyte_months numeric(33, 15),
    persistentvolumeclaim_usage_gigabyte_months numeric(33, 15),
    persistentvolumeclaim_capacity_gigabyte_months numeric(33, 15),
    distributed_cost numeric(33, 15),
    raw_currency text,
    source_uuid uuid,
    cost_category_id integer,
    persistentvolumeclaim varchar(253),
    storageclass varchar(253),
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);

COMMENT ON COLUMN reporting_ocp_volume_summary_by_project_p.resource_ids
    IS 'Machines of the rows, in order; an element is null for rows on none';
