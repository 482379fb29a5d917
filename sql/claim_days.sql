-- Decides for each day of a manifest whether its rows shall be the ones that
-- count. More hours win; of equally many, a daily upload over additive ones, then
-- the later manifest, then the larger uuid. A daily upload wins alone and for all
-- kinds of reports; additive ones of a source claim their days together.
--
-- Reads   days_of_manifest                         one row per day
-- Reads   reporting_common_costusagereportmanifest one row per manifest
-- Writes  gristmill_day                            one row per source and day
-- Writes  gristmill_day_manifest                   one row per source, day and manifest
-- Writes  as remove_repeated_rows does
--
-- manifest_id  integer  the manifest
--
-- Returns one row per UTC day that the manifest has rows of. outcome is `won`
-- (the day is to be summarised), `kept` (the manifest had the day already and
-- nothing about it changed), `lost` (winner_manifest_id covers it better) or
-- `unstaged` (it would add to additive uploads whose staged rows are no longer kept;
-- nothing was written of the day).

CREATE OR REPLACE FUNCTION claim_days(manifest_id integer)
RETURNS TABLE (usage_day date, hours integer, outcome text, winner_manifest_id integer)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    -- One claim of a source at a time: each must see what those before it wrote.
    PERFORM source.source_uuid
    FROM gristmill_source AS source
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.provider_id = source.source_uuid
    WHERE manifest.id = claim_days.manifest_id
    FOR NO KEY UPDATE OF source;

    PERFORM remove_repeated_rows(claim_days.manifest_id);

    RETURN QUERY
    WITH claimants AS (
        -- This one manifest, with what ranks it.
        SELECT
            manifest.id,
            manifest.provider_id AS source_uuid,
            manifest.coverage_report,
            manifest.is_additive,
            COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
            manifest.assembly_id COLLATE "C" AS assembly_id
        FROM reporting_common_costusagereportmanifest AS manifest
        WHERE manifest.id = claim_days.manifest_id
    ),
    covered_days AS (
        -- What it has of each day, from all of its generations together.
        SELECT covered.*
        FROM claimants AS claimant
        CROSS JOIN LATERAL days_of_manifest(claimant.id, claimant.coverage_report) AS covered
    ),
    held_days AS (
        -- Who has those days now, with what ranks them.
        SELECT
            day.usage_day,
            day.manifest_id,
            day.hours,
            day.rows,
            manifest.is_additive,
            COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
            manifest.assembly_id COLLATE "C" AS assembly_id,
            ARRAY(
                SELECT holder.manifest_id
                FROM gristmill_day_manifest AS holder
                WHERE
                    holder.source_uuid = day.source_uuid
                    AND holder.usage_day = day.usage_day
            ) AS manifest_ids
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
            covered.manifest_ids,
            covered.latest_manifest_id,
            claimant.source_uuid,
            held.manifest_id AS holder_manifest_id,
            CASE
                WHEN held.manifest_id IS NULL
                    THEN 'won'
                WHEN claimant.is_additive AND held.is_additive AND NOT held.manifest_ids <@ covered.manifest_ids
                    THEN 'unstaged'
                WHEN claimant.id = ANY (held.manifest_ids)
                    THEN CASE WHEN (held.hours, held.rows) = (covered.hours, covered.rows) THEN 'kept' ELSE 'won' END
                WHEN claimant.is_additive AND held.is_additive
                    THEN 'won'
                WHEN (covered.hours, NOT claimant.is_additive, claimant.manifest_date, claimant.assembly_id)
                    > (held.hours, NOT held.is_additive, held.manifest_date, held.assembly_id)
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
        SELECT claim.source_uuid, claim.usage_day, claim.latest_manifest_id, claim.hours, claim.rows
        FROM claims AS claim
        WHERE claim.outcome = 'won'
        ON CONFLICT (source_uuid, usage_day) DO UPDATE
        SET
            manifest_id = EXCLUDED.manifest_id,
            hours = EXCLUDED.hours,
            rows = EXCLUDED.rows,
            published_at = EXCLUDED.published_at,
            processed_at = NULL
    ),
    holders AS (
        INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
        SELECT claim.source_uuid, claim.usage_day, holder.id
        FROM claims AS claim
        CROSS JOIN LATERAL unnest(claim.manifest_ids) AS holder (id)
        WHERE claim.outcome = 'won'
        ON CONFLICT DO NOTHING
    ),
    former_holders AS (
        DELETE FROM gristmill_day_manifest AS holder
        USING claims AS claim
        WHERE
            claim.outcome = 'won'
            AND holder.source_uuid = claim.source_uuid
            AND holder.usage_day = claim.usage_day
            AND holder.manifest_id <> ALL (claim.manifest_ids)
    )
    SELECT
        claim.usage_day,
        claim.hours,
        claim.outcome,
        CASE claim.outcome WHEN 'won' THEN claim.latest_manifest_id ELSE claim.holder_manifest_id END
    FROM claims AS claim
    ORDER BY claim.usage_day;
END
$$;
