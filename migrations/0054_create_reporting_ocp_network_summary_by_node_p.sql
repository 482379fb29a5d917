-- What each node sent and received each day, by cloud bills. Empty on premises.
--
-- Grain: one row per day, node and kind of rate.

CREATE TABLE reporting_ocp_network_summary_by_node_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_alias text,
    cluster_id text,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_model_volume_cost numeric(33, 15),
    data_source varchar(64),
    distributed_cost numeric(33, 15),
    infrastructure_data_in_gigabytes numeric(33, 15),
    infrastructure_data_out_gigabytes numeric(33, 15),
    infrastructure_markup_cost numeric(33, 15),
    infrastructure_raw_cost numeric(33, 15),
    node varchar(253),
    raw_currency text,
    resource_count integer,
    resource_ids text[],
    usage_end date NOT NULL,
    usage_start date NOT NULL,
    cost_category_id integer,
    source_uuid uuid,
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);

COMMENT ON COLUMN reporting_ocp_network_summary_by_node_p.resource_ids
    IS 'Machines of the rows, in order; an element is null for rows on none';
