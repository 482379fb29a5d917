-- Takes some days of a source back: all rows of them in every table, what the tags of
-- their months have of them alone, and the nodes, projects and volumes that no other day
-- shows. Running their payloads again brings them back: the files of the uploads that had
-- rows of these days may be loaded once more, and what of an upload is of other days stays.
--
-- Reads   uploads_of_days                          once
-- Writes  every daily table                        as delete_days does
-- Writes  gristmill_generation                     one row per generation; those that are left with nothing go
-- Writes  reporting_common_costusagereportstatus   one row per manifest and file
-- Writes  reporting_ocpusagereportperiod           one row per source and month; months that are left with nothing go
-- Writes  reporting_ocp_nodes, _projects, _pvcs    one row per cluster and object
-- Writes  gristmill_cloud_hint                     one row per source; goes with the last day
-- Writes  as give_up_uploads does, of those that wait for files
-- Writes  as forget_unseen_tags, forget_report_period and settle_tags_values do
--
-- source_uuid  uuid  the source; to be called while it is locked
-- first_day    date  the first UTC day, inclusive
-- last_day     date  the last UTC day, inclusive
--
-- Returns one row per table of which rows went, or were changed.
--
-- Other sources wait from the tags on to the end of the transaction: call it last.

CREATE OR REPLACE FUNCTION remove_days(source_uuid uuid, first_day date, last_day date)
RETURNS TABLE (table_name text, rows bigint)
LANGUAGE plpgsql
-- Which partitions are read, and locked, depends on the days.
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
DECLARE
    source ALIAS FOR source_uuid;
    uploads CONSTANT integer[] := ARRAY(SELECT uploads_of_days(source, first_day, last_day));
    emptied_generations bigint[];
    removed record;
    left_over record;
    known_month record;
    nodes_left text[] := '{}';
    projects_left text[] := '{}';
    volumes_left text[] := '{}';
    tags_changed bigint := 0;
    months_removed bigint := 0;
BEGIN
    PERFORM FROM gristmill_source AS known WHERE known.source_uuid = source FOR NO KEY UPDATE;

    -- Of an upload that waits for files all goes: its days are made of all of its files.
    PERFORM give_up_uploads(source, uploads);

    -- What these days show, to be looked for on others.
    SELECT
        array_agg(DISTINCT summary.node) FILTER (WHERE summary.node <> '') AS nodes,
        array_agg(DISTINCT summary.namespace) FILTER (WHERE summary.namespace <> '') AS projects,
        array_agg(DISTINCT concat_ws('/', summary.persistentvolume, summary.persistentvolumeclaim))
            FILTER (WHERE summary.persistentvolume <> '') AS volumes
    INTO removed
    FROM reporting_ocpusagelineitem_daily_summary AS summary
    WHERE
        summary.usage_start BETWEEN first_day AND last_day
        AND summary.source_uuid = source;

    SELECT COALESCE(array_agg(DISTINCT coverage.generation), '{}')
    INTO emptied_generations
    FROM gristmill_coverage AS coverage
    JOIN gristmill_generation AS generation
        ON generation.id = coverage.generation
    WHERE
        generation.source_uuid = source
        AND coverage.interval_start >= first_day::timestamp AT TIME ZONE 'UTC'
        AND coverage.interval_start < (last_day + 1)::timestamp AT TIME ZONE 'UTC';

    RETURN QUERY
    SELECT
        deleted.table_name,
        sum(deleted.rows)::bigint
    FROM delete_days(source, first_day, last_day) AS deleted
    GROUP BY deleted.table_name;

    table_name := 'reporting_common_costusagereportstatus';
    UPDATE reporting_common_costusagereportstatus AS file
    SET
        status = 3,
        failed_status = NULL,
        generation = NULL,
        started_datetime = NULL,
        completed_datetime = NULL,
        rows_loaded = 0,
        rows_reused = 0,
        rows_rejected = 0,
        unknown_columns = NULL
    WHERE file.manifest_id = ANY (uploads);
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'gristmill_generation';
    DELETE FROM gristmill_generation AS generation
    WHERE
        generation.id = ANY (emptied_generations)
        AND NOT EXISTS (
            SELECT
            FROM gristmill_coverage AS coverage
            WHERE coverage.generation = generation.id
        );
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    -- Nobody takes over what is no longer all that was read.
    UPDATE gristmill_generation AS generation
    SET fingerprint = NULL
    WHERE generation.id = ANY (emptied_generations);

    FOR known_month IN
        SELECT
            period.id,
            (period.report_period_start AT TIME ZONE 'UTC')::date AS first_day
        FROM reporting_ocpusagereportperiod AS period
        WHERE period.provider_id = source
        ORDER BY period.report_period_start
    LOOP
        -- Each month by itself, so that each query keeps to its partition.
        SELECT
            array_agg(DISTINCT summary.node) AS nodes,
            array_agg(DISTINCT summary.namespace) AS projects,
            array_agg(DISTINCT concat_ws('/', summary.persistentvolume, summary.persistentvolumeclaim)) AS volumes
        INTO left_over
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        WHERE
            summary.usage_start >= known_month.first_day
            AND summary.usage_start < (known_month.first_day + interval '1 month')::date
            AND summary.source_uuid = source
            AND (
                summary.node = ANY (removed.nodes)
                OR summary.namespace = ANY (removed.projects)
                OR summary.persistentvolume <> ''
            );
        nodes_left := nodes_left || left_over.nodes;
        projects_left := projects_left || left_over.projects;
        volumes_left := volumes_left || left_over.volumes;

        CONTINUE WHEN
            known_month.first_day > last_day
            OR known_month.first_day + interval '1 month' <= first_day;

        IF EXISTS (
            SELECT
            FROM gristmill_day AS day
            WHERE
                day.source_uuid = source
                AND day.usage_day >= known_month.first_day
                AND day.usage_day < known_month.first_day + interval '1 month'
        ) OR EXISTS (
            SELECT
            FROM gristmill_generation AS generation
            JOIN gristmill_coverage AS coverage
                ON coverage.generation = generation.id
            WHERE
                generation.source_uuid = source
                AND coverage.interval_start >= known_month.first_day::timestamp AT TIME ZONE 'UTC'
                AND coverage.interval_start < (known_month.first_day + interval '1 month') AT TIME ZONE 'UTC'
        ) THEN
            tags_changed := tags_changed + forget_unseen_tags(known_month.id, source, known_month.first_day);
        ELSE
            SELECT tags_changed + count(*)
            INTO tags_changed
            FROM label_summaries() AS tag
            WHERE tag.report_period_id = known_month.id;
            PERFORM forget_report_period(known_month.id);
            months_removed := months_removed + 1;
        END IF;
    END LOOP;

    table_name := 'reporting_ocp_nodes';
    DELETE FROM reporting_ocp_nodes AS node
    USING reporting_ocp_clusters AS cluster
    WHERE
        cluster.provider_id = source
        AND node.cluster_id = cluster.uuid
        AND node.node = ANY (removed.nodes)
        AND NOT node.node = ANY (array_remove(nodes_left, NULL));
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'reporting_ocp_projects';
    DELETE FROM reporting_ocp_projects AS project
    USING reporting_ocp_clusters AS cluster
    WHERE
        cluster.provider_id = source
        AND project.cluster_id = cluster.uuid
        AND project.project = ANY (removed.projects)
        AND NOT project.project = ANY (array_remove(projects_left, NULL));
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'reporting_ocp_pvcs';
    DELETE FROM reporting_ocp_pvcs AS volume
    USING reporting_ocp_clusters AS cluster
    WHERE
        cluster.provider_id = source
        AND volume.cluster_id = cluster.uuid
        AND concat_ws('/', volume.persistent_volume, volume.persistent_volume_claim) = ANY (removed.volumes)
        AND NOT concat_ws('/', volume.persistent_volume, volume.persistent_volume_claim)
            = ANY (array_remove(volumes_left, NULL));
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'gristmill_cloud_hint';
    DELETE FROM gristmill_cloud_hint AS hint
    WHERE
        hint.source_uuid = source
        AND NOT EXISTS (
            SELECT
            FROM gristmill_day AS day
            WHERE day.source_uuid = source
        );
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'reporting_ocpusagereportperiod';
    rows := months_removed;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    table_name := 'the tags of the months';
    rows := tags_changed;
    IF rows > 0 THEN
        RETURN NEXT;
    END IF;

    PERFORM settle_tags_values();
END
$$;
