-- Which claims the virtual machines of a day had: by the report on them, or, where
-- there is none, by the labels of the pods that they run in.
--
-- Reads  reporting_ocpusagelineitem_vm_staging       one row per generation, hour, namespace and machine
-- Reads  reporting_ocpusagelineitem_pod_staging      one row per generation, hour, namespace and pod
-- Reads  reporting_ocpusagelineitem_storage_staging  one row per generation, hour and volume
-- Reads  reporting_ocpusagelineitem_pod_day_staging  what engines have folded of the hours of pods
-- Reads  reporting_ocpusagelineitem_volume_day_staging  what they have of those of volumes
-- Reads  gristmill_label_set                         one row per label set
-- Reads  gristmill_name                              one row per name
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- Returns one row per namespace, machine and claim.

CREATE OR REPLACE FUNCTION claims_of_virtual_machines(usage_day date, generations bigint[])
RETURNS TABLE (namespace varchar, vm_name text, persistentvolumeclaim varchar)
LANGUAGE plpgsql
STABLE
-- As in collect_daily_pods: nobody has counted the rows that were just loaded. Nor
-- may it compare the pods of all machines with all volumes.
SET enable_seqscan = off
SET enable_nestloop = off
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
    machine_labels bigint[];
BEGIN
    RETURN QUERY
    SELECT DISTINCT
        staged.namespace,
        staged.vm_name,
        staged.vm_persistentvolumeclaim_name::varchar
    FROM reporting_ocpusagelineitem_vm_staging AS staged
    WHERE
        staged.generation = ANY (generations)
        AND staged.interval_start >= day_start
        AND staged.interval_start < day_end;

    IF FOUND THEN
        RETURN;
    END IF;

    SELECT array_agg(label_set.id)
    INTO machine_labels
    FROM gristmill_label_set AS label_set
    WHERE label_set.labels ? 'vm_kubevirt_io_name';

    -- Most clusters have no virtual machines: spare them reading their pods.
    IF machine_labels IS NULL THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH machine_pods AS (
        SELECT DISTINCT
            staged.namespace_name_id,
            staged.pod,
            label_set.labels ->> 'vm_kubevirt_io_name' AS vm_name
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        JOIN gristmill_label_set AS label_set
            ON label_set.id = staged.pod_labels_id
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
            AND staged.pod_labels_id = ANY (machine_labels)
        UNION
        SELECT
            part.namespace_name_id,
            part.pod,
            label_set.labels ->> 'vm_kubevirt_io_name'
        FROM reporting_ocpusagelineitem_pod_day_staging AS part
        JOIN gristmill_label_set AS label_set
            ON label_set.id = part.pod_labels_id
        WHERE
            part.generation = ANY (generations)
            AND part.interval_start >= day_start
            AND part.interval_start < day_end
            AND part.pod_labels_id = ANY (machine_labels)
    ),
    named_pods AS (
        SELECT
            namespace.name,
            machine_pod.pod,
            machine_pod.vm_name
        FROM machine_pods AS machine_pod
        JOIN gristmill_name AS namespace
            ON namespace.id = machine_pod.namespace_name_id
    )
    SELECT DISTINCT
        staged.namespace,
        named_pod.vm_name,
        staged.persistentvolumeclaim
    FROM named_pods AS named_pod
    JOIN reporting_ocpusagelineitem_storage_staging AS staged
        ON staged.namespace = named_pod.name
        AND staged.pod = named_pod.pod
    WHERE
        staged.generation = ANY (generations)
        AND staged.interval_start >= day_start
        AND staged.interval_start < day_end
    UNION
    SELECT
        part.namespace,
        named_pod.vm_name,
        part.persistentvolumeclaim
    FROM named_pods AS named_pod
    JOIN reporting_ocpusagelineitem_volume_day_staging AS part
        ON part.namespace = named_pod.name
        AND part.pod = named_pod.pod
    WHERE
        part.generation = ANY (generations)
        AND part.interval_start >= day_start
        AND part.interval_start < day_end;
END
$$;
