-- Takes a source back, with all that there is of it in any table. Its archived payloads
-- stay, as those of no source: running them again brings it back.
--
-- Writes  every daily table                         as delete_days does
-- Writes  gristmill_archive                         one row per manifest and archived tarball
-- Writes  gristmill_archive_orphan                  one row per archived tarball
-- Writes  gristmill_generation, gristmill_reject    one row per generation, per rejected row
-- Writes  gristmill_run, gristmill_run_stage, gristmill_row_account, gristmill_quarantine  those of its uploads
-- Writes  reporting_common_costusagereportmanifest, reporting_common_costusagereportstatus  its uploads
-- Writes  reporting_ocp_clusters, _nodes, _projects, _pvcs, _infrastructure_map  its own
-- Writes  gristmill_lake                            one row per place, which `clean` removes then
-- Writes  gristmill_cloud_hint, gristmill_source, reporting_tenant_api_provider  its own
-- Writes  as forget_report_period and settle_tags_values do
--
-- source_uuid  uuid  the source; to be called while it is locked
--
-- The statement made for each table that refers to sources is given
-- $1  the source
--
-- Returns one row per table of which rows went.
--
-- Other sources wait from the tags on to the end of the transaction: call it last.

CREATE OR REPLACE FUNCTION remove_source(source_uuid uuid)
RETURNS TABLE (table_name text, rows bigint)
LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    source ALIAS FOR source_uuid;
    cluster uuid;
    months date[];
    known_period integer;
    other_table text;
BEGIN
    PERFORM FROM gristmill_source AS known WHERE known.source_uuid = source FOR UPDATE;

    SELECT known.uuid
    INTO cluster
    FROM reporting_ocp_clusters AS known
    WHERE known.provider_id = source;

    -- Only the months in which there is something of it: others stay unlocked.
    months := ARRAY(
        SELECT date_trunc('month', day.usage_day::timestamp)::date
        FROM gristmill_day AS day
        WHERE day.source_uuid = source
        UNION
        SELECT date_trunc('month', coverage.interval_start AT TIME ZONE 'UTC')::date
        FROM gristmill_generation AS generation
        JOIN gristmill_coverage AS coverage
            ON coverage.generation = generation.id
        WHERE generation.source_uuid = source
        UNION
        SELECT (period.report_period_start AT TIME ZONE 'UTC')::date
        FROM reporting_ocpusagereportperiod AS period
        WHERE period.provider_id = source
    );

    RETURN QUERY
    SELECT
        deleted.table_name,
        sum(deleted.rows)::bigint
    FROM unnest(months) AS month
    CROSS JOIN LATERAL delete_days(source, month, (month + interval '1 month' - interval '1 day')::date) AS deleted
    GROUP BY deleted.table_name;

    RETURN QUERY
    SELECT
        label.name,
        count(*)
    FROM reporting_ocpusagereportperiod AS period
    JOIN label_summaries() AS tag
        ON tag.report_period_id = period.id
    CROSS JOIN (VALUES ('the tags of the months')) AS label (name)
    WHERE period.provider_id = source
    GROUP BY label.name;

    INSERT INTO gristmill_archive_orphan AS orphan (
        directory, digest, cluster_id, payload, bytes, billing_period_start_datetime
    )
    SELECT DISTINCT ON (archived.directory, archived.digest)
        archived.directory,
        archived.digest,
        known.cluster_id,
        archived.payload,
        archived.bytes,
        manifest.billing_period_start_datetime
    FROM gristmill_archive AS archived
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = archived.manifest_id
    JOIN gristmill_source AS known
        ON known.source_uuid = archived.source_uuid
    WHERE archived.source_uuid = source
    ORDER BY
        archived.directory,
        archived.digest,
        manifest.billing_period_start_datetime DESC
    ON CONFLICT (directory, digest) DO NOTHING;

    RETURN QUERY
    WITH uploads AS (
        SELECT manifest.id
        FROM reporting_common_costusagereportmanifest AS manifest
        WHERE manifest.provider_id = source
    ),
    archive AS (
        DELETE FROM gristmill_archive AS archived
        WHERE archived.source_uuid = source
        RETURNING 1
    ),
    periods AS (
        SELECT period.id
        FROM reporting_ocpusagereportperiod AS period
        WHERE period.provider_id = source
    ),
    counted (table_name, rows) AS (
        SELECT 'gristmill_archive', count(*) FROM archive
        UNION ALL
        SELECT 'reporting_ocpusagereportperiod', count(*) FROM periods
        UNION ALL
        SELECT 'gristmill_generation', count(*)
        FROM gristmill_generation AS generation
        WHERE generation.source_uuid = source
        UNION ALL
        SELECT 'gristmill_run', count(*)
        FROM gristmill_run AS run
        WHERE run.manifest_id IN (SELECT upload.id FROM uploads AS upload)
        UNION ALL
        SELECT 'gristmill_quarantine', count(*)
        FROM gristmill_quarantine AS quarantine
        JOIN gristmill_run AS run
            ON run.id = quarantine.run_id
        WHERE run.manifest_id IN (SELECT upload.id FROM uploads AS upload)
        UNION ALL
        SELECT 'reporting_common_costusagereportstatus', count(*)
        FROM reporting_common_costusagereportstatus AS file
        WHERE file.manifest_id IN (SELECT upload.id FROM uploads AS upload)
        UNION ALL
        SELECT 'reporting_common_costusagereportmanifest', count(*) FROM uploads
        UNION ALL
        SELECT 'reporting_ocp_nodes', count(*) FROM reporting_ocp_nodes AS node WHERE node.cluster_id = cluster
        UNION ALL
        SELECT 'reporting_ocp_projects', count(*)
        FROM reporting_ocp_projects AS project
        WHERE project.cluster_id = cluster
        UNION ALL
        SELECT 'reporting_ocp_pvcs', count(*) FROM reporting_ocp_pvcs AS volume WHERE volume.cluster_id = cluster
        UNION ALL
        SELECT 'reporting_ocp_infrastructure_map', count(*)
        FROM reporting_ocp_infrastructure_map AS declared
        WHERE declared.source_uuid = source
        UNION ALL
        SELECT 'gristmill_cloud_hint', count(*)
        FROM gristmill_cloud_hint AS hint
        WHERE hint.source_uuid = source
        UNION ALL
        SELECT 'reporting_ocp_clusters', count(cluster)
        UNION ALL
        SELECT 'gristmill_source', 1
        UNION ALL
        SELECT 'reporting_tenant_api_provider', 1
    )
    SELECT counted.table_name, counted.rows
    FROM counted
    WHERE counted.rows > 0;

    -- Whatever else refers to it, new tables among it. Coverage, rows in quarantine, row
    -- accounting and file statuses go with what they are of.
    FOR other_table IN
        SELECT DISTINCT reference.conrelid::regclass::text
        FROM pg_constraint AS reference
        WHERE
            reference.contype = 'f'
            AND reference.confrelid = 'gristmill_source'::regclass
        ORDER BY 1
    LOOP
        EXECUTE format('DELETE FROM %s WHERE source_uuid = $1', other_table) USING source;
    END LOOP;

    -- Its files in the lake have records until `clean` has removed them.
    UPDATE gristmill_lake AS place
    SET keep_until = now()
    WHERE place.source_uuid = source;

    DELETE FROM gristmill_run AS run
    USING reporting_common_costusagereportmanifest AS manifest
    WHERE
        manifest.provider_id = source
        AND run.manifest_id = manifest.id;
    DELETE FROM reporting_common_costusagereportmanifest AS manifest WHERE manifest.provider_id = source;
    DELETE FROM reporting_ocp_nodes AS node WHERE node.cluster_id = cluster;
    DELETE FROM reporting_ocp_projects AS project WHERE project.cluster_id = cluster;
    DELETE FROM reporting_ocp_pvcs AS volume WHERE volume.cluster_id = cluster;

    FOR known_period IN
        SELECT period.id
        FROM reporting_ocpusagereportperiod AS period
        WHERE period.provider_id = source
    LOOP
        PERFORM forget_report_period(known_period);
    END LOOP;

    DELETE FROM reporting_ocp_clusters AS known WHERE known.provider_id = source;
    DELETE FROM gristmill_source AS known WHERE known.source_uuid = source;
    DELETE FROM reporting_tenant_api_provider AS provider WHERE provider.uuid = source;

    PERFORM settle_tags_values();
END
$$;
