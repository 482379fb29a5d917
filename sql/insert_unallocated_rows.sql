-- Adds what no pod used of each node's capacity on a day, to be run after the
-- pod rows. Returns how many rows that made.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  the day's pod rows
-- Reads   reporting_ocp_nodes                       one row per cluster, node and machine
-- Writes  reporting_ocpusagelineitem_daily_summary  one row per node
--
-- usage_day  date     a UTC day
-- period     integer  the report period
-- cluster    text     the cluster's id, for the rows
-- alias      text     the cluster's alias, for the rows
-- source     uuid     the source
--
-- A node that was requested beyond its capacity has less than nothing left.

CREATE OR REPLACE FUNCTION insert_unallocated_rows(
    usage_day date,
    period integer,
    cluster text,
    alias text,
    source uuid
)
RETURNS bigint
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few.
SET enable_sort = off
SET enable_nestloop = off
AS $$
DECLARE
    rows_inserted bigint;
BEGIN
    WITH node_roles AS (
        SELECT
            known.node,
            known.resource_id,
            known.node_role
        FROM reporting_ocp_nodes AS known
        JOIN reporting_ocp_clusters AS owner
            ON owner.uuid = known.cluster_id
        WHERE owner.provider_id = source
    ),
    nodes AS (
        SELECT
            summary.node,
            CASE
                WHEN max(role.node_role) IN ('master', 'infra') THEN 'Platform unallocated'
                ELSE 'Worker unallocated'
            END AS namespace,
            max(summary.resource_id) AS resource_id,
            max(summary.node_capacity_cpu_cores) AS node_cpu_cores,
            max(summary.node_capacity_cpu_core_hours) AS node_cpu_core_hours,
            max(summary.node_capacity_memory_gigabytes) AS node_memory_gigabytes,
            max(summary.node_capacity_memory_gigabyte_hours) AS node_memory_gigabyte_hours,
            max(summary.cluster_capacity_cpu_core_hours) AS cluster_cpu_core_hours,
            max(summary.cluster_capacity_memory_gigabyte_hours) AS cluster_memory_gigabyte_hours,
            sum(summary.pod_usage_cpu_core_hours) AS usage_cpu_core_hours,
            sum(summary.pod_request_cpu_core_hours) AS request_cpu_core_hours,
            sum(summary.pod_effective_usage_cpu_core_hours) AS effective_usage_cpu_core_hours,
            sum(summary.pod_usage_memory_gigabyte_hours) AS usage_memory_gigabyte_hours,
            sum(summary.pod_request_memory_gigabyte_hours) AS request_memory_gigabyte_hours,
            sum(summary.pod_effective_usage_memory_gigabyte_hours) AS effective_usage_memory_gigabyte_hours
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        LEFT JOIN node_roles AS role
            ON role.node = summary.node
            AND role.resource_id = COALESCE(summary.resource_id, '')
        WHERE
            summary.usage_start = usage_day
            AND summary.source_uuid = source
            AND summary.report_period_id = period
            AND summary.data_source = 'Pod'
            -- Usage only: no rows of cost models, none of cloud bills.
            AND summary.cost_model_rate_type IS NULL
            AND is_usage(summary.infrastructure_raw_cost)
            AND summary.node IS NOT NULL
            AND summary.namespace NOT IN (
                'Platform unallocated',
                'Worker unallocated',
                'Network unattributed',
                'Storage unattributed'
            )
        GROUP BY summary.node
    )
    INSERT INTO reporting_ocpusagelineitem_daily_summary (
        report_period_id,
        cluster_id,
        cluster_alias,
        data_source,
        namespace,
        node,
        resource_id,
        usage_start,
        usage_end,
        pod_usage_cpu_core_hours,
        pod_request_cpu_core_hours,
        pod_effective_usage_cpu_core_hours,
        pod_usage_memory_gigabyte_hours,
        pod_request_memory_gigabyte_hours,
        pod_effective_usage_memory_gigabyte_hours,
        node_capacity_cpu_cores,
        node_capacity_cpu_core_hours,
        node_capacity_memory_gigabytes,
        node_capacity_memory_gigabyte_hours,
        cluster_capacity_cpu_core_hours,
        cluster_capacity_memory_gigabyte_hours,
        source_uuid,
        cost_category_id,
        all_labels
    )
    SELECT
        period,
        cluster,
        alias,
        'Pod',
        node.namespace,
        node.node,
        node.resource_id,
        usage_day,
        usage_day,
        node.node_cpu_core_hours - node.usage_cpu_core_hours,
        node.node_cpu_core_hours - node.request_cpu_core_hours,
        node.node_cpu_core_hours - node.effective_usage_cpu_core_hours,
        node.node_memory_gigabyte_hours - node.usage_memory_gigabyte_hours,
        node.node_memory_gigabyte_hours - node.request_memory_gigabyte_hours,
        node.node_memory_gigabyte_hours - node.effective_usage_memory_gigabyte_hours,
        node.node_cpu_cores,
        node.node_cpu_core_hours,
        node.node_memory_gigabytes,
        node.node_memory_gigabyte_hours,
        node.cluster_cpu_core_hours,
        node.cluster_memory_gigabyte_hours,
        source,
        cost_category_of(node.namespace),
        '{}'
    FROM nodes AS node;

    GET DIAGNOSTICS rows_inserted = ROW_COUNT;
    RETURN rows_inserted;
END
$$;
