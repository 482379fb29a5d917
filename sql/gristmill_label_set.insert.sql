-- Stores label sets that are not stored yet, and says which ids were taken by
-- another set.
--
-- Reads   gristmill_label_set  one row per distinct set of labels
-- Writes  gristmill_label_set
--
-- $1  ids     bigint[]  digests of the canonical texts
-- $2  labels  text[]    the canonical texts, in the same order
--
-- Returns the ids that stand for other labels than given; none, unless two
-- digests are equal by chance.

WITH given AS (
    -- One row per set of this call, sorted so that two loads cannot deadlock.
    SELECT
        pairs.id,
        pairs.labels::jsonb AS labels
    FROM unnest($1::bigint[], $2::text[]) AS pairs (id, labels)
    ORDER BY pairs.id
),
inserted AS (
    -- What was new.
    INSERT INTO gristmill_label_set (id, labels)
    SELECT
        given.id,
        given.labels
    FROM given
    ON CONFLICT (id) DO NOTHING
)
SELECT given.id
FROM given
JOIN gristmill_label_set AS stored
    ON stored.id = given.id
WHERE stored.labels <> given.labels;
