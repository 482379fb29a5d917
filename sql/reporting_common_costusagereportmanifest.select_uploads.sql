-- Lists uploads and how they stand, the latest first.
--
-- Reads  reporting_common_costusagereportmanifest  one row per source and upload
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
-- Reads  gristmill_source                          one row per source
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  waiting_uploads                           one row per upload that waits
--
-- $1  source_uuid  uuid    of this source; null for all
-- $2  states       text[]  those in one of these states; null for all
-- $3  uploads_max  bigint  so many
--
-- An upload is `waiting` for files, `superseded` while or after it waited, `abandoned` by a
-- person, `removed` when all of its days were taken back, `published`, or `failed`.

WITH uploads AS (
    SELECT
        manifest.id,
        source.cluster_id,
        source.cluster_alias,
        manifest.assembly_id AS upload,
        manifest.manifest_date AS made_at,
        manifest.creation_datetime AS came_at,
        count(file.completed_datetime) AS files_loaded,
        array_agg(file.report_name ORDER BY file.report_name)
            FILTER (WHERE file.completed_datetime IS NULL) AS files_missing,
        manifest.completed_datetime IS NOT NULL AS is_published,
        manifest.abandoned_datetime IS NOT NULL AS is_abandoned,
        manifest.superseded_by
    FROM reporting_common_costusagereportmanifest AS manifest
    JOIN gristmill_source AS source
        ON source.source_uuid = manifest.provider_id
    LEFT JOIN reporting_common_costusagereportstatus AS file
        ON file.manifest_id = manifest.id
    WHERE
        $1::uuid IS NULL
        OR manifest.provider_id = $1
    GROUP BY
        manifest.id,
        source.source_uuid
),
days AS (
    -- The days that each holds.
    SELECT
        holder.manifest_id,
        min(holder.usage_day) AS first_day,
        max(holder.usage_day) AS last_day
    FROM gristmill_day_manifest AS holder
    WHERE
        $1::uuid IS NULL
        OR holder.source_uuid = $1
    GROUP BY holder.manifest_id
),
states AS (
    SELECT
        upload.*,
        days.first_day,
        days.last_day,
        COALESCE(later.assembly_id, upload.superseded_by) AS superseded_by_upload,
        CASE
            WHEN waiting.superseded_by IS NOT NULL THEN 'superseded'
            WHEN waiting.manifest_id IS NOT NULL THEN 'waiting'
            WHEN upload.is_abandoned AND upload.files_loaded = 0
                THEN CASE WHEN upload.superseded_by IS NULL THEN 'abandoned' ELSE 'superseded' END
            WHEN upload.is_published
                THEN CASE
                    WHEN upload.files_loaded = 0 AND cardinality(upload.files_missing) > 0 AND days.manifest_id IS NULL
                        THEN 'removed'
                    ELSE 'published'
                END
            ELSE 'failed'
        END AS state
    FROM uploads AS upload
    LEFT JOIN days
        ON days.manifest_id = upload.id
    LEFT JOIN waiting_uploads($1) AS waiting
        ON waiting.manifest_id = upload.id
    LEFT JOIN reporting_common_costusagereportmanifest AS later
        ON later.id = waiting.superseded_by
)
SELECT
    state.cluster_id,
    state.cluster_alias,
    state.upload,
    state.state,
    state.made_at,
    state.came_at,
    state.first_day,
    state.last_day,
    state.files_loaded,
    COALESCE(state.files_missing, '{}') AS files_missing,
    state.superseded_by_upload AS superseded_by
FROM states AS state
WHERE
    $2::text[] IS NULL
    OR state.state = ANY ($2)
ORDER BY state.id DESC
LIMIT $3;
