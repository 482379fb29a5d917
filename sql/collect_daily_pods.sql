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
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
    -- %1$I is the table, %2$s the type that has room for a sum.
    rows_of CONSTANT text := $rows$
        SELECT
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id,
            staged.node_capacity_cpu_cores_e12,
            staged.node_capacity_memory_gigabytes_e12,
            staged.pod_usage_cpu_core_hours_e12::%2$s AS pod_usage_cpu_core_hours_e12,
            staged.pod_request_cpu_core_hours_e12::%2$s AS pod_request_cpu_core_hours_e12,
            staged.pod_limit_cpu_core_hours_e12::%2$s AS pod_limit_cpu_core_hours_e12,
            staged.pod_effective_usage_cpu_core_hours_e12::%2$s AS pod_effective_usage_cpu_core_hours_e12,
            staged.pod_usage_memory_gigabyte_hours_e12::%2$s AS pod_usage_memory_gigabyte_hours_e12,
            staged.pod_request_memory_gigabyte_hours_e12::%2$s AS pod_request_memory_gigabyte_hours_e12,
            staged.pod_limit_memory_gigabyte_hours_e12::%2$s AS pod_limit_memory_gigabyte_hours_e12,
            staged.pod_effective_usage_memory_gigabyte_hours_e12::%2$s AS pod_effective_usage_memory_gigabyte_hours_e12
        FROM %1$I AS staged
        WHERE
            staged.generation = ANY ($1)
            AND staged.interval_start >= $2
            AND staged.interval_start < $3
    $rows$;
    -- %1$I is what sums up, %2$s the rows. By ids, so that names are looked up once a day
    -- and not once an hour.
    folded CONSTANT text := $fold$
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
        FROM (%2$s) AS staged
        GROUP BY
            staged.namespace_name_id,
            staged.node_name_id,
            staged.pod,
            staged.pod_labels_id,
            staged.resource_id_name_id
    $fold$;
    named CONSTANT text := $names$
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
        FROM pod_sums AS summed
        LEFT JOIN gristmill_name AS namespace
            ON namespace.id = summed.namespace_name_id
        LEFT JOIN gristmill_name AS node
            ON node.id = summed.node_name_id
        LEFT JOIN gristmill_name AS resource
            ON resource.id = summed.resource_id_name_id
    $names$;
    has_parts CONSTANT boolean := EXISTS (
        SELECT
        FROM reporting_ocpusagelineitem_pod_day_staging AS part
        WHERE
            part.generation = ANY (generations)
            AND part.interval_start >= day_start
            AND part.interval_start < day_end
    );
    -- Postgres has several processes fold for a table that it makes, and not for one that is
    -- there. Where it may have none, or has little to do, the table costs more than it saves.
    in_parallel CONSTANT boolean := current_setting('max_parallel_workers_per_gather')::integer > 0;
    sum record;
    staged_rows text;
    sums text;
BEGIN
    FOR sum IN
        SELECT *
        FROM (
            VALUES
                ('sum_of_bigint', 'bigint', false),
                ('sum', 'numeric', true)
        ) AS kind (name, type, is_last)
    LOOP
        staged_rows := format(rows_of, 'reporting_ocpusagelineitem_pod_staging', sum.type);
        IF has_parts THEN
            staged_rows := staged_rows || ' UNION ALL '
                || format(rows_of, 'reporting_ocpusagelineitem_pod_day_staging', sum.type);
        END IF;
        sums := format(folded, sum.name, staged_rows);
        BEGIN
            IF in_parallel THEN
                EXECUTE 'CREATE TEMPORARY TABLE pod_sums ON COMMIT DROP AS ' || sums
                USING generations, day_start, day_end;
            ELSE
                EXECUTE format('WITH pod_sums AS (%s) %s', sums, named)
                USING generations, day_start, day_end;
            END IF;
            EXIT;
        EXCEPTION
            -- Usage that nobody has, but a report can say.
            WHEN numeric_value_out_of_range THEN
                IF sum.is_last THEN
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

    IF in_parallel THEN
        EXECUTE named;
        DROP TABLE pg_temp.pod_sums;
    END IF;
END
$$;
