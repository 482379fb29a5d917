-- What the projects of a cluster cost each day, and that they were there at all.
--
-- Grain: one row per day, namespace and kind of rate.

CREATE TABLE reporting_ocp_cost_summary_by_project_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_id text,
    cluster_alias text,
    namespace varchar(253),
    usage_start date NOT NULL,
    usage_end date NOT NULL,
    infrastructure_usage_cost jsonb,
    infrastructure_project_monthly_cost jsonb,
    supplementary_usage_cost jsonb,
    supplementary_project_monthly_cost jsonb,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_model_volume_cost numeric(33, 15),
    distributed_cost numeric(33, 15),
    raw_currency text,
    source_uuid uuid,
    cost_category_id integer,
    infrastructure_markup_cost numeric(33, 15),
    infrastructure_raw_cost numeric(33, 15),
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);
