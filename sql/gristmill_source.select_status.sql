-- Says how each source stands.
--
-- Reads  gristmill_source                          one row per source
-- Reads  gristmill_day                             one row per source and day
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  gristmill_generation                      one row per generation
-- Reads  gristmill_quarantine                      one row per rejected row
-- Reads  reporting_common_costusagereportmanifest  one row per manifest

WITH days AS (
    -- One row per source that has any.
    SELECT
        day.source_uuid,
        min(day.usage_day) AS first_day,
        max(day.usage_day) AS last_day,
        count(*) AS days,
        count(*) FILTER (WHERE manifest.is_additive) AS days_additive
    FROM gristmill_day AS day
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = day.manifest_id
    GROUP BY day.source_uuid
),
last_payloads AS (
    -- The upload of each source that came last.
    SELECT DISTINCT ON (manifest.provider_id)
        manifest.provider_id,
        manifest.assembly_id,
        manifest.manifest_date,
        manifest.creation_datetime
    FROM reporting_common_costusagereportmanifest AS manifest
    ORDER BY
        manifest.provider_id,
        manifest.creation_datetime DESC,
        manifest.id DESC
),
generations AS (
    -- A generation is superseded when its upload is published and holds no day.
    SELECT
        generation.source_uuid,
        count(*) AS generations,
        count(*) FILTER (
            WHERE
                manifest.completed_datetime IS NOT NULL
                AND NOT EXISTS (
                    SELECT
                    FROM gristmill_day_manifest AS holder
                    WHERE
                        holder.source_uuid = generation.source_uuid
                        AND holder.manifest_id = generation.manifest_id
                )
        ) AS generations_superseded
    FROM gristmill_generation AS generation
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = generation.manifest_id
    GROUP BY generation.source_uuid
),
quarantines AS (
    -- Rejected rows that are neither resolved nor discarded.
    SELECT
        manifest.provider_id,
        count(*) AS rows_quarantined,
        count(DISTINCT run.id) AS runs_quarantined,
        max(run.id) AS last_run_quarantined,
        max(run.payload) AS payload_quarantined
    FROM gristmill_quarantine AS quarantine
    JOIN gristmill_run AS run
        ON run.id = quarantine.run_id
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = run.manifest_id
    WHERE quarantine.state = 'open'
    GROUP BY manifest.provider_id
)
SELECT
    source.source_uuid,
    source.cluster_id,
    source.cluster_alias,
    source.is_being_renamed,
    payload.assembly_id AS last_payload,
    payload.manifest_date AS last_payload_made_at,
    payload.creation_datetime AS last_payload_came_at,
    days.first_day,
    days.last_day,
    COALESCE(days.days, 0) AS days,
    COALESCE(days.days_additive, 0) AS days_additive,
    COALESCE(generations.generations, 0) AS generations,
    COALESCE(generations.generations_superseded, 0) AS generations_superseded,
    COALESCE(quarantines.rows_quarantined, 0) AS rows_quarantined,
    COALESCE(quarantines.runs_quarantined, 0) AS runs_quarantined,
    quarantines.last_run_quarantined,
    quarantines.payload_quarantined
FROM gristmill_source AS source
LEFT JOIN days
    ON days.source_uuid = source.source_uuid
LEFT JOIN last_payloads AS payload
    ON payload.provider_id = source.source_uuid
LEFT JOIN generations
    ON generations.source_uuid = source.source_uuid
LEFT JOIN quarantines
    ON quarantines.provider_id = source.source_uuid
ORDER BY
    source.cluster_alias,
    source.cluster_id;
