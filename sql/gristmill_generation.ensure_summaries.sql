-- Creates the partitions of the summaries for the months that a manifest is about to
-- publish, before the transaction that does: locks of new partitions are held to its end.
-- What was loaded is indexed, so that nobody looks for rows of one upload among those of others.
--
-- Reads   gristmill_generation, gristmill_coverage  what the manifest has already, and what it reuses
-- Writes  as ensure_summaries and index_staged_rows do
--
-- $1  manifest_id  integer  the manifest
-- $2  generations  bigint[] generations of others that it reuses
-- $3  days         date[]   the days that it is about to get

WITH months AS (
    SELECT date_trunc('month', day::timestamp)::date AS month
    FROM unnest($3::date[]) AS day
    UNION
    SELECT date_trunc('month', coverage.interval_start AT TIME ZONE 'UTC')::date
    FROM gristmill_generation AS generation
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = generation.id
    WHERE
        generation.manifest_id = $1
        OR generation.id = ANY ($2)
)
SELECT
    ensure_summaries(month),
    index_staged_rows(month)
FROM months
ORDER BY month;
