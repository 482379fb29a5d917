-- Stores names that are not stored yet, and says which ids were taken by another
-- name.
--
-- Reads   gristmill_name  one row per distinct name
-- Writes  gristmill_name
--
-- $1  ids    bigint[]  digests of the names
-- $2  names  text[]    the names, in the same order
--
-- Returns the ids that stand for other names than given; none, unless two digests
-- are equal by chance.

WITH given AS (
    -- One row per name of this call, sorted so that two loads cannot deadlock.
    SELECT
        pairs.id,
        pairs.name
    FROM unnest($1::bigint[], $2::text[]) AS pairs (id, name)
    ORDER BY pairs.id
),
inserted AS (
    -- What was new.
    INSERT INTO gristmill_name (id, name)
    SELECT
        given.id,
        given.name
    FROM given
    ON CONFLICT (id) DO NOTHING
)
SELECT given.id
FROM given
JOIN gristmill_name AS stored
    ON stored.id = given.id
WHERE stored.name <> given.name;
