-- Lists those of some numbers that no row in quarantine has.
--
-- Reads  gristmill_quarantine  one row per rejected row
--
-- $1  ids  bigint[]  the numbers

SELECT asked.id
FROM unnest($1::bigint[]) AS asked (id)
WHERE NOT EXISTS (
    SELECT
    FROM gristmill_quarantine AS quarantine
    WHERE quarantine.id = asked.id
)
ORDER BY asked.id;
