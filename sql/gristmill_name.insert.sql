-- Stores names that are not stored yet, and says which id each of them has.
--
-- Reads   gristmill_secret  its one row
-- Writes  gristmill_name    one row per distinct name
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
        text_id(secret.secret, numbered.name) AS id
    FROM unnest($1::text[]) WITH ORDINALITY AS numbered (name, position)
    CROSS JOIN gristmill_secret AS secret
),
inserted AS (
    -- What is new, sorted so that two loads cannot deadlock.
    INSERT INTO gristmill_name (id, name)
    SELECT
        given.id,
        given.name
    FROM given
    ORDER BY given.id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, name
)
SELECT COALESCE(inserted.id, stored.id) AS id
FROM given
LEFT JOIN inserted
    ON inserted.id = given.id
    AND inserted.name = given.name
LEFT JOIN gristmill_name AS stored
    ON stored.id = given.id
    AND stored.name = given.name
ORDER BY given.position;
