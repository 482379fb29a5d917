-- Stores label sets that are not stored yet, and says which id each of them has.
--
-- Reads   gristmill_secret     its one row
-- Reads   gristmill_label_set  one row per distinct set of labels
-- Writes  gristmill_label_set
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
        text_id(secret.secret, numbered.labels) AS id,
        -- That of a set from before there was a secret. Rows are grouped by ids, so
        -- it keeps the one that it has.
        text_id(''::bytea, numbered.labels) AS early_id
    FROM unnest($1::text[]) WITH ORDINALITY AS numbered (labels, position)
    CROSS JOIN gristmill_secret AS secret
),
found AS (
    -- What is stored of each.
    SELECT
        given.position,
        given.labels,
        given.id,
        holder.labels AS labels_of_id,
        early.id AS early_id
    FROM given
    LEFT JOIN gristmill_label_set AS holder
        ON holder.id = given.id
    LEFT JOIN gristmill_label_set AS early
        ON early.id = given.early_id
        AND early.labels = given.labels
),
inserted AS (
    -- What was new, sorted so that two loads cannot deadlock.
    INSERT INTO gristmill_label_set (id, labels)
    SELECT
        found.id,
        found.labels
    FROM found
    WHERE
        found.labels_of_id IS NULL
        AND found.early_id IS NULL
    ORDER BY found.id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, labels
)
SELECT
    CASE
        WHEN found.labels_of_id = found.labels OR inserted.id IS NOT NULL THEN found.id
        ELSE found.early_id
    END AS id
FROM found
LEFT JOIN inserted
    ON inserted.id = found.id
    AND inserted.labels = found.labels
ORDER BY found.position;
