-- Sums a day's staged hours of pods, and what engines have folded of others. Whatever
-- needs pods afterwards starts from these sums, so that the hours are folded once.
--
-- Reads   reporting_ocpusagelineitem_pod_staging      one row per generation, hour, namespace and pod
-- Reads   reporting_ocpusagelineitem_pod_day_staging  one row or several per generation and row of daily_pods
-- Reads   gristmill_name                              one row per name
-- Writes  pg_temp.daily_pods                          one row per namespace, node, pod, own label set and machine; see make_daily_tables
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- The statements that are made for one sum or the other are given
-- $1  the generations
-- $2  the first instant of the day
-- $3  the first instant behind it

CREATE OR REPLACE FUNCTION collect_daily_pods(usage_day date, generations bigint[])
RETURNS void
LANGUAGE plpgsql
-- Nobody has counted the rows that were just loaded, and the planner guesses a
-- few: it would read all of the month, and sort instead of hash.
SET enable_seqscan = off
SET enable_sort = off
-- Two processors fold the hours faster than one, and sums of whole numbers do not
-- depend on who adds them. Handing over a row has its cost, so that each hands over
-- sums and not hours.
SET parallel_setup_cost = 0
-- Some thousand rows tell well enough how many there are of what.
SET default_statistics_target = 10
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
    -- %1$I is what sums up. By ids, so that names are looked up once a day and not
    -- once an hour. Postgres has several processes fold for a table that it makes, and
    -- not for one that is there.
    folded CONSTANT text := $fold$
        CREATE TEMPORARY TABLE pod_sums ON COMMIT DROP AS
        SELECT
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id,
            max(staged.node_capacity_cpu_cores_e12) AS node_capacity_cpu_cores_e12,
            max(staged.node_capacity_memory_gigabytes_e12) AS node_capacity_memory_gigabytes_e12,
            %1$I(staged.pod_usage_cpu_core_hours_e12) AS pod_usage_cpu_core_hours_e12,
            %1$I(staged.pod_request_cpu_core_hours_e12) AS pod_request_cpu_core_hours_e12,
            %1$I(staged.pod_limit_cpu_core_hours_e12) AS pod_limit_cpu_core_hours_e12,
            %1$I(staged.pod_effective_usage_cpu_core_hours_e12) AS pod_effective_usage_cpu_core_hours_e12,
            %1$I(staged.pod_usage_memory_gigabyte_hours_e12) AS pod_usage_memory_gigabyte_hours_e12,
            %1$I(staged.pod_request_memory_gigabyte_hours_e12) AS pod_request_memory_gigabyte_hours_e12,
            %1$I(staged.pod_limit_memory_gigabyte_hours_e12) AS pod_limit_memory_gigabyte_hours_e12,
            %1$I(staged.pod_effective_usage_memory_gigabyte_hours_e12) AS pod_effective_usage_memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        WHERE
            staged.generation = ANY ($1)
            AND staged.interval_start >= $2
            AND staged.interval_start < $3
        GROUP BY
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id
    $fold$;
    folded_parts CONSTANT text := $fold$
        INSERT INTO pg_temp.pod_sums
        SELECT
            part.namespace_name_id,
            part.node_name_id,
            part.pod,
            part.pod_labels_id,
            part.resource_id_name_id,
            part.node_capacity_cpu_cores_e12,
            part.node_capacity_memory_gigabytes_e12,
            part.pod_usage_cpu_core_hours_e12,
            part.pod_request_cpu_core_hours_e12,
            part.pod_limit_cpu_core_hours_e12,
            part.pod_effective_usage_cpu_core_hours_e12,
            part.pod_usage_memory_gigabyte_hours_e12,
            part.pod_request_memory_gigabyte_hours_e12,
            part.pod_limit_memory_gigabyte_hours_e12,
            part.pod_effective_usage_memory_gigabyte_hours_e12
        FROM reporting_ocpusagelineitem_pod_day_staging AS part
        WHERE
            part.generation = ANY ($1)
            AND part.interval_start >= $2
            AND part.interval_start < $3
    $fold$;
    merged CONSTANT text := $fold$
        CREATE TEMPORARY TABLE merged_pod_sums ON COMMIT DROP AS
        SELECT
            sums.namespace_name_id,
            sums.node_name_id,
            sums.pod,
            sums.pod_labels_id,
            sums.resource_id_name_id,
            max(sums.node_capacity_cpu_cores_e12) AS node_capacity_cpu_cores_e12,
            max(sums.node_capacity_memory_gigabytes_e12) AS node_capacity_memory_gigabytes_e12,
            %1$I(sums.pod_usage_cpu_core_hours_e12) AS pod_usage_cpu_core_hours_e12,
            %1$I(sums.pod_request_cpu_core_hours_e12) AS pod_request_cpu_core_hours_e12,
            %1$I(sums.pod_limit_cpu_core_hours_e12) AS pod_limit_cpu_core_hours_e12,
            %1$I(sums.pod_effective_usage_cpu_core_hours_e12) AS pod_effective_usage_cpu_core_hours_e12,
            %1$I(sums.pod_usage_memory_gigabyte_hours_e12) AS pod_usage_memory_gigabyte_hours_e12,
            %1$I(sums.pod_request_memory_gigabyte_hours_e12) AS pod_request_memory_gigabyte_hours_e12,
            %1$I(sums.pod_limit_memory_gigabyte_hours_e12) AS pod_limit_memory_gigabyte_hours_e12,
            %1$I(sums.pod_effective_usage_memory_gigabyte_hours_e12)
                AS pod_effective_usage_memory_gigabyte_hours_e12
        FROM pg_temp.pod_sums AS sums
        GROUP BY
            sums.namespace_name_id,
            sums.node_name_id,
            sums.pod,
            sums.pod_labels_id,
            sums.resource_id_name_id
    $fold$;
    has_parts CONSTANT boolean := EXISTS (
        SELECT
        FROM reporting_ocpusagelineitem_pod_day_staging AS part
        WHERE
            part.generation = ANY (generations)
            AND part.interval_start >= day_start
            AND part.interval_start < day_end
    );
    sum_name text;
BEGIN
    FOREACH sum_name IN ARRAY ARRAY['sum_of_bigint', 'sum'] LOOP
        BEGIN
            EXECUTE format(folded, sum_name) USING generations, day_start, day_end;
            IF has_parts THEN
                EXECUTE folded_parts USING generations, day_start, day_end;
                EXECUTE format(merged, sum_name);
                DROP TABLE pg_temp.pod_sums;
                ALTER TABLE pg_temp.merged_pod_sums RENAME TO pod_sums;
            END IF;
            EXIT;
        EXCEPTION
            -- Usage that nobody has, but a report can say.
            WHEN numeric_value_out_of_range THEN
                IF sum_name = 'sum' THEN
                    RAISE;
                END IF;
                ALTER TABLE pg_temp.daily_pods
                    ALTER COLUMN pod_usage_cpu_core_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_request_cpu_core_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_limit_cpu_core_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_effective_usage_cpu_core_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_usage_memory_gigabyte_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_request_memory_gigabyte_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_limit_memory_gigabyte_hours_e12 TYPE numeric,
                    ALTER COLUMN pod_effective_usage_memory_gigabyte_hours_e12 TYPE numeric;
        END;
    END LOOP;

    INSERT INTO pg_temp.daily_pods (
        namespace,
        node,
        pod,
        pod_labels_id,
        resource_id,
        node_capacity_cpu_cores_e12,
        node_capacity_memory_gigabytes_e12,
        pod_usage_cpu_core_hours_e12,
        pod_request_cpu_core_hours_e12,
        pod_limit_cpu_core_hours_e12,
        pod_effective_usage_cpu_core_hours_e12,
        pod_usage_memory_gigabyte_hours_e12,
        pod_request_memory_gigabyte_hours_e12,
        pod_limit_memory_gigabyte_hours_e12,
        pod_effective_usage_memory_gigabyte_hours_e12
    )
    SELECT
        namespace.name,
        node.name,
        summed.pod,
        summed.pod_labels_id,
        resource.name,
        COALESCE(summed.node_capacity_cpu_cores_e12, 0),
        COALESCE(summed.node_capacity_memory_gigabytes_e12, 0),
        COALESCE(summed.pod_usage_cpu_core_hours_e12, 0),
        COALESCE(summed.pod_request_cpu_core_hours_e12, 0),
        COALESCE(summed.pod_limit_cpu_core_hours_e12, 0),
        COALESCE(summed.pod_effective_usage_cpu_core_hours_e12, 0),
        COALESCE(summed.pod_usage_memory_gigabyte_hours_e12, 0),
        COALESCE(summed.pod_request_memory_gigabyte_hours_e12, 0),
        COALESCE(summed.pod_limit_memory_gigabyte_hours_e12, 0),
        COALESCE(summed.pod_effective_usage_memory_gigabyte_hours_e12, 0)
    FROM pg_temp.pod_sums AS summed
    LEFT JOIN gristmill_name AS namespace
        ON namespace.id = summed.namespace_name_id
    LEFT JOIN gristmill_name AS node
        ON node.id = summed.node_name_id
    LEFT JOIN gristmill_name AS resource
        ON resource.id = summed.resource_id_name_id;

    DROP TABLE pg_temp.pod_sums;
    ANALYZE pg_temp.daily_pods (namespace, node, pod, resource_id, pod_labels_id);
END
$$;
