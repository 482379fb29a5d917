-- Removes rows from a partition of staging whose generation has no record. Returns how
-- many there were.
--
-- Reads   gristmill_generation  one row per generation
-- Writes  the partition         one row per generation, hour and object
--
-- partition  text     the partition; no error when it is gone
-- dry_run    boolean  only say how many
--
-- There are none unless an earlier version left them. Only block ranges are read that
-- may hold an id from between those on record. A generation is on record before its
-- rows are there, so one statement sees both or neither.

CREATE OR REPLACE FUNCTION remove_orphaned_rows(partition text, dry_run boolean)
RETURNS bigint
LANGUAGE plpgsql
-- Block ranges are looked up for each gap; nobody has counted what is in them.
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    gaps CONSTANT text :=
        'WITH gaps AS MATERIALIZED (
            SELECT
                known.id + 1 AS first_id,
                COALESCE(lead(known.id) OVER (ORDER BY known.id) - 1, 9223372036854775807) AS last_id
            FROM (
                SELECT generation.id FROM gristmill_generation AS generation
                UNION ALL
                SELECT (-9223372036854775808)::bigint
            ) AS known
        ),
        orphans AS (
            SELECT staged.ctid AS place
            FROM gaps AS gap
            JOIN %1$I.%2$I AS staged
                ON staged.generation BETWEEN gap.first_id AND gap.last_id
            WHERE gap.first_id <= gap.last_id
        )';
    rows_found bigint;
BEGIN
    IF dry_run THEN
        EXECUTE format(gaps || ' SELECT count(*) FROM orphans', current_schema(), partition)
        INTO rows_found;
        RETURN rows_found;
    END IF;

    EXECUTE format(
        gaps || ' DELETE FROM %1$I.%2$I AS gone WHERE gone.ctid = ANY (ARRAY(SELECT place FROM orphans))',
        current_schema(), partition
    );
    GET DIAGNOSTICS rows_found = ROW_COUNT;
    RETURN rows_found;
EXCEPTION WHEN undefined_table THEN
    RETURN 0;
END
$$;
