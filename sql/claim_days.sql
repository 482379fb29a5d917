-- Decides for each day of a manifest whether its rows shall be the ones that
-- count: more hours win; of equally many, the later manifest; of equally late
-- ones, the larger uuid. One manifest wins for all kinds of reports.
--
-- Reads   gristmill_coverage                       one row per generation, report kind and hour
-- Reads   gristmill_generation                     one row per generation; only complete ones count
-- Reads   reporting_common_costusagereportmanifest one row per manifest
-- Writes  gristmill_day                            one row per source and day
--
-- manifest_id  integer  the manifest
--
-- Returns one row per UTC day that the manifest has rows of. outcome is `won`
-- (the day is to be summarised), `kept` (the manifest had the day already and
-- nothing about it changed) or `lost` (winner_manifest_id covers it better).

CREATE OR REPLACE FUNCTION claim_days(manifest_id integer)
RETURNS TABLE (usage_day date, hours integer, outcome text, winner_manifest_id integer)
LANGUAGE sql
AS $$
-- One claim of a source at a time: each must see what those before it wrote.
SELECT source.source_uuid
FROM gristmill_source AS source
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.provider_id = source.source_uuid
WHERE manifest.id = claim_days.manifest_id
FOR NO KEY UPDATE OF source;

WITH claimants AS (
    -- This one manifest, with what ranks it.
    SELECT
        manifest.id,
        manifest.provider_id AS source_uuid,
        manifest.coverage_report,
        COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
        manifest.assembly_id COLLATE "C" AS assembly_id
    FROM reporting_common_costusagereportmanifest AS manifest
    WHERE manifest.id = claim_days.manifest_id
),
covered_days AS (
    -- What it has of each day, from all of its generations together.
    SELECT
        (coverage.interval_start AT TIME ZONE 'UTC')::date AS usage_day,
        count(DISTINCT coverage.interval_start)
            FILTER (WHERE coverage.report = claimant.coverage_report)::integer AS hours,
        sum(coverage.rows)::bigint AS rows
    FROM claimants AS claimant
    JOIN gristmill_generation AS generation
        ON generation.manifest_id = claimant.id
        AND generation.state = 'complete'
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = generation.id
    GROUP BY usage_day
),
held_days AS (
    -- Who has those days now, with what ranks them.
    SELECT
        day.usage_day,
        day.manifest_id,
        day.hours,
        day.rows,
        COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
        manifest.assembly_id COLLATE "C" AS assembly_id
    FROM claimants AS claimant
    JOIN gristmill_day AS day
        ON day.source_uuid = claimant.source_uuid
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = day.manifest_id
),
claims AS (
    SELECT
        covered.usage_day,
        covered.hours,
        covered.rows,
        claimant.id AS manifest_id,
        claimant.source_uuid,
        held.manifest_id AS holder_manifest_id,
        CASE
            WHEN held.manifest_id IS NULL
                THEN 'won'
            WHEN held.manifest_id = claimant.id
                THEN CASE WHEN (held.hours, held.rows) = (covered.hours, covered.rows) THEN 'kept' ELSE 'won' END
            WHEN (covered.hours, claimant.manifest_date, claimant.assembly_id)
                > (held.hours, held.manifest_date, held.assembly_id)
                THEN 'won'
            ELSE 'lost'
        END AS outcome
    FROM covered_days AS covered
    CROSS JOIN claimants AS claimant
    LEFT JOIN held_days AS held
        ON held.usage_day = covered.usage_day
),
won_days AS (
    INSERT INTO gristmill_day (source_uuid, usage_day, manifest_id, hours, rows)
    SELECT claim.source_uuid, claim.usage_day, claim.manifest_id, claim.hours, claim.rows
    FROM claims AS claim
    WHERE claim.outcome = 'won'
    ON CONFLICT (source_uuid, usage_day) DO UPDATE
    SET
        manifest_id = EXCLUDED.manifest_id,
        hours = EXCLUDED.hours,
        rows = EXCLUDED.rows,
        published_at = EXCLUDED.published_at,
        processed_at = NULL
)
SELECT
    claim.usage_day,
    claim.hours,
    claim.outcome,
    CASE claim.outcome WHEN 'lost' THEN claim.holder_manifest_id ELSE claim.manifest_id END
FROM claims AS claim
ORDER BY claim.usage_day;
$$;
