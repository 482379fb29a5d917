-- Which GPUs, or slices of them, the projects of a cluster had each day.
--
-- Grain: one row per day, namespace, node and card or slice, with its vendor, model and
-- profile.

CREATE TABLE reporting_ocp_gpu_summary_p (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cluster_id text,
    cluster_alias text,
    namespace varchar(253),
    node varchar(253),
    usage_start date NOT NULL,
    usage_end date NOT NULL,
    vendor_name text,
    model_name text,
    memory_capacity_gb numeric(33, 15),
    gpu_count integer,
    cost_model_gpu_cost numeric(33, 15),
    raw_currency text,
    cost_model_cpu_cost numeric(33, 15),
    cost_model_memory_cost numeric(33, 15),
    cost_model_volume_cost numeric(33, 15),
    cost_model_rate_type text,
    cost_category_id integer,
    source_uuid uuid,
    gpu_max_slices integer,
    gpu_mode text,
    mig_memory_capacity_gb numeric(33, 15),
    mig_profile text,
    mig_slice_count integer,
    mig_strategy text,
    gpu_uuid text,
    mig_instance_id text,
    PRIMARY KEY (usage_start, id)
)
PARTITION BY RANGE (usage_start);

COMMENT ON COLUMN reporting_ocp_gpu_summary_p.memory_capacity_gb IS 'Of the whole card, in GB of 10^9 bytes';
COMMENT ON COLUMN reporting_ocp_gpu_summary_p.gpu_max_slices
    IS 'How many slices the card can be cut into; null if that is not known';
COMMENT ON COLUMN reporting_ocp_gpu_summary_p.gpu_mode IS 'MIG for a slice, dedicated for a whole card';
COMMENT ON COLUMN reporting_ocp_gpu_summary_p.mig_memory_capacity_gb IS 'Of the slice, in GB of 10^9 bytes';
