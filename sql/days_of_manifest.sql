-- What there is of each day of a manifest: of a daily one its own rows, of an
-- additive one those of all additive uploads of its source together.
--
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
-- Reads  gristmill_generation                      one row per generation; only complete ones count
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
--
-- manifest_id      integer  the manifest
-- coverage_report  text     the report kind whose distinct hours say how much of a day it has;
--                           of other manifests, that of their own pipeline
--
-- Returns one row per UTC day that the manifest has rows of, with the manifests that
-- take part and the latest of them. Rows that additive uploads repeat are counted
-- each time. Additive uploads that wait for files take no part.

CREATE OR REPLACE FUNCTION days_of_manifest(manifest_id integer, coverage_report text)
RETURNS TABLE (usage_day date, hours integer, rows bigint, manifest_ids integer[], latest_manifest_id integer)
LANGUAGE sql
STABLE
AS $$
WITH candidates AS (
    -- Each branch by its index: a source has many manifests.
    SELECT asked.id, true AS is_asked
    FROM reporting_common_costusagereportmanifest AS asked
    WHERE asked.id = days_of_manifest.manifest_id
    UNION ALL
    SELECT part.id, false
    FROM reporting_common_costusagereportmanifest AS asked
    JOIN reporting_common_costusagereportmanifest AS part
        ON part.provider_id = asked.provider_id
        AND part.id <> asked.id
        AND part.is_additive
        AND part.completed_datetime IS NOT NULL
    WHERE
        asked.id = days_of_manifest.manifest_id
        AND asked.is_additive
        -- Nor one whose days were removed, while some of its files are back.
        AND (
            SELECT count(file.completed_datetime) IN (0, count(*))
            FROM reporting_common_costusagereportstatus AS file
            WHERE file.manifest_id = part.id
        )
),
parts AS (
    -- The manifests that may take part, the latest with the largest rank.
    SELECT
        part.id,
        candidate.is_asked,
        CASE WHEN candidate.is_asked THEN days_of_manifest.coverage_report ELSE part.coverage_report END
            AS coverage_report,
        row_number() OVER (
            ORDER BY COALESCE(part.manifest_date, '-infinity'), part.assembly_id COLLATE "C"
        ) AS rank
    FROM candidates AS candidate
    JOIN reporting_common_costusagereportmanifest AS part
        ON part.id = candidate.id
),
covered_hours AS (
    SELECT
        part.id,
        part.is_asked,
        part.rank,
        coverage.interval_start,
        (coverage.interval_start AT TIME ZONE 'UTC')::date AS usage_day,
        coverage.report = part.coverage_report AS is_counted,
        coverage.rows
    FROM parts AS part
    JOIN gristmill_generation AS generation
        ON generation.manifest_id = part.id
        AND generation.state = 'complete'
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = generation.id
)
SELECT
    hour.usage_day,
    count(DISTINCT hour.interval_start) FILTER (WHERE hour.is_counted)::integer,
    sum(hour.rows)::bigint,
    array_agg(DISTINCT hour.id),
    (array_agg(hour.id ORDER BY hour.rank DESC))[1]
FROM covered_hours AS hour
GROUP BY hour.usage_day
HAVING bool_or(hour.is_asked);
$$;
