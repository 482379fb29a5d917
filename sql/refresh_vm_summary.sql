-- Lists the volumes that virtual machines had on some days, in place of what was
-- there.
--
-- Reads   held_days                                 one row per day that can be summarised
-- Reads   claims_of_virtual_machines                one row per namespace, machine and claim of a day
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_vm_summary_p                one row per day, namespace, machine, claim and kind
--                                                   of rate
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- The rules:
-- * A day's rows are made of that day alone, so it does not matter with which
--   other days it is summarised, or when.
-- * A machine has the claims of its own namespace that it had at any hour of the
--   day.
-- * A claim that was on several nodes is one row: on the last of them by name, with
--   the largest of their capacities and usages. Volumes on no node are left out.
-- * Its labels are those of all of its rows and, over them, those of the machine's
--   pods. Where two differ, the one on the later node by name wins, and then the
--   greater value.

CREATE OR REPLACE FUNCTION refresh_vm_summary(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
BEGIN
    DELETE FROM reporting_ocp_vm_summary_p AS made
    USING held_days(days, source) AS held
    WHERE
        made.usage_start = held.usage_day
        AND made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    WITH machine_claims AS (
        SELECT
            held.usage_day,
            machine.namespace,
            machine.vm_name,
            machine.persistentvolumeclaim
        FROM held_days(days, source) AS held
        CROSS JOIN LATERAL claims_of_virtual_machines(held.usage_day, held.generations) AS machine
        -- One without a disk has a blank.
        WHERE machine.persistentvolumeclaim <> ''
    ),
    volumes AS (
        SELECT
            machine.vm_name,
            summary.*
        FROM machine_claims AS machine
        JOIN reporting_ocpusagelineitem_daily_summary AS summary
            ON summary.usage_start = machine.usage_day
            AND summary.namespace = machine.namespace
            AND summary.persistentvolumeclaim = machine.persistentvolumeclaim
        WHERE
            summary.usage_start = ANY (days)
            AND summary.usage_start BETWEEN first_day AND last_day
            AND summary.source_uuid = source
            AND summary.data_source = 'Storage'
            AND summary.node IS NOT NULL
            AND summary.resource_id IS NOT NULL
    ),
    volume_labels AS (
        -- One row per label of a volume, or of a pod that its machine runs in.
        SELECT
            volume.usage_start,
            volume.namespace,
            volume.vm_name,
            volume.persistentvolumeclaim,
            1 AS precedence,
            volume.node,
            label.key,
            label.value
        FROM volumes AS volume
        CROSS JOIN LATERAL jsonb_each_text(volume.volume_labels) AS label
        UNION ALL
        SELECT
            machine.usage_day,
            machine.namespace,
            machine.vm_name,
            machine.persistentvolumeclaim,
            2,
            pod.node,
            label.key,
            label.value
        FROM machine_claims AS machine
        JOIN reporting_ocpusagelineitem_daily_summary AS pod
            ON pod.usage_start = machine.usage_day
            AND pod.namespace = machine.namespace
            AND pod.pod_labels ->> 'vm_kubevirt_io_name' = machine.vm_name
        CROSS JOIN LATERAL jsonb_each_text(pod.pod_labels) AS label
        WHERE
            pod.usage_start = ANY (days)
            AND pod.usage_start BETWEEN first_day AND last_day
            AND pod.source_uuid = source
            AND pod.data_source = 'Pod'
    ),
    merged_labels AS (
        SELECT
            label.usage_start,
            label.namespace,
            label.vm_name,
            label.persistentvolumeclaim,
            -- The last of equal keys stays.
            jsonb_object_agg(
                label.key,
                label.value
                ORDER BY label.precedence, label.node COLLATE "C", label.value COLLATE "C"
            ) AS labels
        FROM volume_labels AS label
        GROUP BY
            label.usage_start,
            label.namespace,
            label.vm_name,
            label.persistentvolumeclaim
    )
    INSERT INTO reporting_ocp_vm_summary_p (
        cluster_alias,
        cluster_id,
        namespace,
        node,
        vm_name,
        pod_labels,
        resource_ids,
        usage_start,
        usage_end,
        persistentvolumeclaim,
        persistentvolumeclaim_capacity_gigabyte_months,
        persistentvolumeclaim_usage_gigabyte_months,
        storageclass,
        cost_model_rate_type,
        infrastructure_raw_cost,
        infrastructure_markup_cost,
        cost_model_cpu_cost,
        cost_model_memory_cost,
        cost_model_volume_cost,
        cost_model_gpu_cost,
        distributed_cost,
        raw_currency,
        cost_category_id,
        source_uuid
    )
    SELECT
        volume.cluster_alias,
        volume.cluster_id,
        volume.namespace,
        max(volume.node COLLATE "C"),
        volume.vm_name,
        COALESCE(merged.labels, '{}'),
        array_agg(DISTINCT volume.resource_id),
        volume.usage_start,
        volume.usage_start,
        volume.persistentvolumeclaim,
        max(volume.persistentvolumeclaim_capacity_gigabyte_months),
        max(volume.persistentvolumeclaim_usage_gigabyte_months),
        max(volume.storageclass),
        volume.cost_model_rate_type,
        sum(volume.infrastructure_raw_cost),
        sum(volume.infrastructure_markup_cost),
        sum(volume.cost_model_cpu_cost),
        sum(volume.cost_model_memory_cost),
        sum(volume.cost_model_volume_cost),
        sum(volume.cost_model_gpu_cost),
        sum(volume.distributed_cost),
        max(volume.raw_currency),
        max(volume.cost_category_id),
        source
    FROM volumes AS volume
    LEFT JOIN merged_labels AS merged
        ON merged.usage_start = volume.usage_start
        AND merged.namespace = volume.namespace
        AND merged.vm_name = volume.vm_name
        AND merged.persistentvolumeclaim = volume.persistentvolumeclaim
    GROUP BY
        volume.cluster_alias,
        volume.cluster_id,
        volume.usage_start,
        volume.namespace,
        volume.vm_name,
        volume.persistentvolumeclaim,
        volume.cost_model_rate_type,
        merged.labels;
END
$$;
