-- Which volumes the virtual machines of a cluster had each day.
--
-- Grain: one row per day, namespace, machine, claim and kind of rate.

CREATE TABLE reporting_ocp_vm_summary_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_alias text,
    cluster_id text,
    namespace varchar(253),
    node varchar(253),
    vm_name text,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_model_volume_cost numeric(33, 15),
    distributed_cost numeric(33, 15),
    pod_labels jsonb,
    pod_request_cpu_core_hours numeric(33, 15),
    pod_request_memory_gigabyte_hours numeric(33, 15),
    infrastructure_markup_cost numeric(33, 15),
    infrastructure_raw_cost numeric(33, 15),
    raw_currency text,
    resource_ids text[],
    usage_end date NOT NULL,
    usage_start date NOT NULL,
    cost_category_id integer,
    source_uuid uuid,
    persistentvolumeclaim varchar(253),
    persistentvolumeclaim_capacity_gigabyte_months numeric(33, 15),
    persistentvolumeclaim_usage_gigabyte_months numeric(33, 15),
    storageclass varchar(253),
    cost_model_gpu_cost numeric(33, 15),
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);

COMMENT ON COLUMN reporting_ocp_vm_summary_p.pod_labels
    IS 'Of the claim on all of its nodes, under those of the machine''s pods';
COMMENT ON COLUMN reporting_ocp_vm_summary_p.persistentvolumeclaim_capacity_gigabyte_months
    IS 'The largest of the claim''s nodes: each has the whole capacity';
