-- Stores names that are not stored yet, and says which id each of them has.
--
-- Reads   gristmill_secret  its one row
-- Reads   gristmill_name    one row per distinct name
-- Writes  gristmill_name
--
-- $1  names  text[]  the names, each once
--
-- Returns one row per name, in their order: its id. There is none when that id stands
-- for another name, and none when another load has stored the name in the meantime:
-- this statement does not see that, the next one does.
-- Returns no row at all without a secret.

WITH given AS MATERIALIZED (
    -- One row per name of this call.
    SELECT
        numbered.position,
        numbered.name,
        text_id(secret.secret, numbered.name) AS id,
        -- That of a name from before there was a secret. Rows are grouped by ids, so
        -- it keeps the one that it has.
        text_id(''::bytea, numbered.name) AS early_id
    FROM unnest($1::text[]) WITH ORDINALITY AS numbered (name, position)
    CROSS JOIN gristmill_secret AS secret
),
found AS (
    -- What is stored of each.
    SELECT
        given.position,
        given.name,
        given.id,
        holder.name AS name_of_id,
        early.id AS early_id
    FROM given
    LEFT JOIN gristmill_name AS holder
        ON holder.id = given.id
    LEFT JOIN gristmill_name AS early
        ON early.id = given.early_id
        AND early.name = given.name
),
inserted AS (
    -- What was new, sorted so that two loads cannot deadlock.
    INSERT INTO gristmill_name (id, name)
    SELECT
        found.id,
        found.name
    FROM found
    WHERE
        found.name_of_id IS NULL
        AND found.early_id IS NULL
    ORDER BY found.id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, name
)
SELECT
    CASE
        WHEN found.name_of_id = found.name OR inserted.id IS NOT NULL THEN found.id
        ELSE found.early_id
    END AS id
FROM found
LEFT JOIN inserted
    ON inserted.id = found.id
    AND inserted.name = found.name
ORDER BY found.position;
