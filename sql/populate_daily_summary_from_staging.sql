-- Makes the daily summary of a range of days from staged rows, in place of what
-- was there. A day is made of the rows of the manifests that hold it.
--
-- Reads   held_days                                       one row per day that can be summarised
-- Reads   gristmill_coverage                              one row per generation, report kind and hour
-- Reads   reporting_ocpusagelineitem_*_staging            one row per generation, hour and object
-- Reads   pg_temp.daily_pods                              whether this session has made a day; see make_daily_tables
-- Writes  reporting_ocpusagelineitem_daily_summary        one row per contribution
-- Writes  reporting_ocp_nodes, _projects, _pvcs           one row per cluster and object
-- Writes  gristmill_day, reporting_ocpusagereportperiod   when they were processed, and by which engines
--
-- start_date        date     the first UTC day, inclusive
-- end_date          date     the last UTC day, inclusive, of the same month
-- report_period_id  integer  the report period of that month
-- cluster_id        text     the cluster's id, for the rows
-- cluster_alias     text     the cluster's alias, for the rows
-- source_uuid       uuid     the source
--
-- Returns how many rows the daily summary gained and lost, and the days that were made.
-- A day that nobody holds, or whose staged rows are no longer kept, stays as it
-- is. Days are made one after the other: memory does not grow with the range.

CREATE OR REPLACE FUNCTION populate_daily_summary_from_staging(
    start_date date,
    end_date date,
    report_period_id integer,
    cluster_id text,
    cluster_alias text,
    source_uuid uuid
)
RETURNS TABLE (rows_inserted bigint, rows_deleted bigint, days date[])
LANGUAGE plpgsql
SET work_mem = '128MB'
-- Chosen anew for each day.
SET plan_cache_mode = auto
-- Compiling takes longer than the queries.
SET jit = off
AS $$
DECLARE
    period ALIAS FOR report_period_id;
    cluster ALIAS FOR cluster_id;
    alias ALIAS FOR cluster_alias;
    source ALIAS FOR source_uuid;
    processes CONSTANT text := current_setting('max_parallel_workers_per_gather');
    staged_rows bigint;
    is_small boolean;
    held record;
BEGIN
    IF date_trunc('month', start_date::timestamp) <> date_trunc('month', end_date::timestamp) THEN
        RAISE EXCEPTION 'days % to % are not in one month', start_date, end_date
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    rows_inserted := 0;
    rows_deleted := 0;
    days := '{}';

    FOR held IN
        SELECT
            day.usage_day,
            day.generations
        FROM held_days(
            ARRAY(SELECT generate_series(start_date, end_date, interval '1 day')::date),
            source
        ) AS day
        ORDER BY day.usage_day
    LOOP
        staged_rows := (
            SELECT sum(coverage.rows)
            FROM gristmill_coverage AS coverage
            WHERE
                coverage.generation = ANY (held.generations)
                AND coverage.interval_start >= held.usage_day::timestamp AT TIME ZONE 'UTC'
                AND coverage.interval_start < (held.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
        );
        is_small := is_small_day(staged_rows);
        PERFORM set_config(
            'plan_cache_mode',
            plan_mode_of_day(staged_rows, to_regclass('pg_temp.daily_pods') IS NULL),
            true
        );
        PERFORM set_config(
            'max_parallel_workers_per_gather',
            CASE WHEN is_small THEN '0' ELSE processes END,
            true
        );

        PERFORM make_daily_tables();
        -- Only these read staging.
        PERFORM collect_daily_pods(held.usage_day, held.generations);
        PERFORM collect_daily_volumes(held.usage_day, held.generations);
        PERFORM collect_daily_nodes(held.usage_day, held.generations);
        PERFORM collect_daily_namespaces(held.usage_day, held.generations);
        IF NOT is_small THEN
            PERFORM analyze_daily_tables();
        END IF;

        -- The unallocated rows need the nodes' roles.
        PERFORM refresh_nodes(source);
        PERFORM refresh_projects(source);
        PERFORM refresh_pvcs(source);

        rows_deleted := rows_deleted + delete_usage_rows(held.usage_day, period, source);
        rows_inserted := rows_inserted
            + insert_pod_rows(held.usage_day, period, cluster, alias, source)
            + insert_storage_rows(held.usage_day, period, cluster, alias, source)
            + insert_unallocated_rows(held.usage_day, period, cluster, alias, source);

        UPDATE gristmill_day AS day
        SET
            processed_at = now(),
            engines = folded.engines,
            fold_seconds = folded.fold_seconds
        FROM engines_of_day(held.usage_day, held.generations) AS folded
        WHERE day.source_uuid = source AND day.usage_day = held.usage_day;

        days := days || held.usage_day;
    END LOOP;

    PERFORM set_config('max_parallel_workers_per_gather', processes, true);

    UPDATE reporting_ocpusagereportperiod AS summarised
    SET
        summary_data_creation_datetime = COALESCE(summarised.summary_data_creation_datetime, now()),
        summary_data_updated_datetime = now()
    WHERE summarised.id = period;

    RETURN NEXT;
END
$$;
