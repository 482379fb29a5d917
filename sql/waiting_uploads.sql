-- The uploads of which some files are loaded and others have not come, with those that
-- nobody needs any more: a later daily upload holds each of their days.
--
-- Reads  reporting_common_costusagereportmanifest  one row per source and upload
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
--
-- source  uuid  only those of this source; null for all
--
-- Returns one row per upload: since when it waits, the generations that its loaded files
-- have, the files that have not come, and the manifest that superseded it, or null. Later
-- is meant as in claim_days. An upload whose loaded files have no rows is superseded by
-- whichever comes next.

CREATE OR REPLACE FUNCTION waiting_uploads(source uuid)
RETURNS TABLE (
    manifest_id integer,
    source_uuid uuid,
    waits_since timestamptz,
    generations bigint[],
    files_missing text[],
    superseded_by integer
)
LANGUAGE sql
STABLE
AS $$
WITH open_manifests AS (
    -- By the index of files that have not come: a source has many others.
    SELECT DISTINCT file.manifest_id AS id
    FROM reporting_common_costusagereportstatus AS file
    WHERE file.completed_datetime IS NULL
),
uploads AS MATERIALIZED (
    SELECT
        manifest.id,
        manifest.provider_id,
        COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
        manifest.assembly_id COLLATE "C" AS assembly_id,
        CASE
            WHEN manifest.completed_datetime IS NULL THEN manifest.creation_datetime
            -- Published before some of its days were removed.
            ELSE min(file.completed_datetime)
        END AS waits_since,
        COALESCE(array_agg(DISTINCT file.generation) FILTER (WHERE file.generation IS NOT NULL), '{}') AS generations,
        array_agg(file.report_name ORDER BY file.report_name)
            FILTER (WHERE file.completed_datetime IS NULL) AS files_missing
    FROM open_manifests AS open
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = open.id
    JOIN reporting_common_costusagereportstatus AS file
        ON file.manifest_id = manifest.id
    WHERE
        source IS NULL
        OR manifest.provider_id = source
    GROUP BY manifest.id
    HAVING count(file.completed_datetime) > 0
),
days AS (
    -- One row per upload and day that it has rows of.
    SELECT DISTINCT
        upload.id,
        upload.provider_id,
        upload.manifest_date,
        upload.assembly_id,
        (coverage.interval_start AT TIME ZONE 'UTC')::date AS usage_day
    FROM uploads AS upload
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = ANY (upload.generations)
),
later_uploads AS (
    -- The first later upload that holds each of these days, if there is one.
    SELECT
        day.id,
        day.usage_day,
        (
            SELECT later.id
            FROM gristmill_day_manifest AS holder
            JOIN reporting_common_costusagereportmanifest AS later
                ON later.id = holder.manifest_id
            WHERE
                holder.source_uuid = day.provider_id
                AND holder.usage_day = day.usage_day
                AND NOT later.is_additive
                AND (COALESCE(later.manifest_date, '-infinity'), later.assembly_id COLLATE "C")
                    > (day.manifest_date, day.assembly_id)
            LIMIT 1
        ) AS later_id
    FROM days AS day
),
superseded AS (
    SELECT
        later.id,
        max(later.later_id) AS later_id
    FROM later_uploads AS later
    GROUP BY later.id
    HAVING bool_and(later.later_id IS NOT NULL)
)
SELECT
    upload.id,
    upload.provider_id,
    upload.waits_since,
    upload.generations,
    upload.files_missing,
    CASE
        WHEN EXISTS (SELECT FROM days AS day WHERE day.id = upload.id)
            THEN superseded.later_id
        ELSE (
            SELECT min(later.id)
            FROM reporting_common_costusagereportmanifest AS later
            WHERE
                later.provider_id = upload.provider_id
                AND NOT later.is_additive
                AND later.completed_datetime IS NOT NULL
                AND (COALESCE(later.manifest_date, '-infinity'), later.assembly_id COLLATE "C")
                    > (upload.manifest_date, upload.assembly_id)
        )
    END
FROM uploads AS upload
LEFT JOIN superseded
    ON superseded.id = upload.id;
$$;
