-- Stores label sets that are not stored yet, and says which id each of them has.
--
-- Reads   gristmill_secret     its one row
-- Writes  gristmill_label_set  one row per distinct set of labels
--
-- $1  label_sets  text[]  the canonical texts, each once
--
-- Returns one row per set, in their order: its id. There is none when that id stands
-- for other labels, and none when another load has stored the set in the meantime:
-- this statement does not see that, the next one does.
-- Returns no row at all without a secret.

WITH given AS MATERIALIZED (
    -- One row per set of this call.
    SELECT
        numbered.position,
        numbered.labels::jsonb AS labels,
        text_id(secret.secret, numbered.labels) AS id
    FROM unnest($1::text[]) WITH ORDINALITY AS numbered (labels, position)
    CROSS JOIN gristmill_secret AS secret
),
inserted AS (
    -- What is new, sorted so that two loads cannot deadlock.
    INSERT INTO gristmill_label_set (id, labels)
    SELECT
        given.id,
        given.labels
    FROM given
    ORDER BY given.id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, labels
)
SELECT COALESCE(inserted.id, stored.id) AS id
FROM given
LEFT JOIN inserted
    ON inserted.id = given.id
    AND inserted.labels = given.labels
LEFT JOIN gristmill_label_set AS stored
    ON stored.id = given.id
    AND stored.labels = given.labels
ORDER BY given.position;
