-- What the nodes of a cluster cost each day, and that they were there at all.
--
-- Grain: one row per day, node and kind of rate. Volumes that no pod mounts are on no
-- node.

CREATE TABLE reporting_ocp_cost_summary_by_node_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_id text,
    cluster_alias text,
    node varchar(253),
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
    distributed_cost numeric(33, 15),
    raw_currency text,
    source_uuid uuid,
    cost_category_id integer,
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);
