-- Brings the indexes of a month's staging partitions up to the rows that were loaded last.
-- Left alone, Postgres does so when it vacuums, which may be days later: until then whoever
-- looks for the rows of one upload reads those of all that came in that time.
--
-- Reads   monthly_tables     one row per table
-- Reads   pg_class, pg_index the partitions and their indexes
-- Writes  the indexes of block ranges
--
-- month  date  the first day of a month
--
-- Does without where somebody else is at it, or owns the table: it is for speed alone. The
-- locks last to the end of the transaction, so call it in a short one of its own.

CREATE OR REPLACE FUNCTION index_staged_rows(month date)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    staging record;
BEGIN
    FOR staging IN
        SELECT
            indexed.indrelid::regclass AS partition,
            indexed.indexrelid::regclass AS index
        FROM monthly_tables() AS monthly
        JOIN pg_index AS indexed
            ON indexed.indrelid = to_regclass(
                format('%I.%I', current_schema(), monthly.table_name || to_char(month, '_YYYY_MM'))
            )
        JOIN pg_class AS index
            ON index.oid = indexed.indexrelid
        JOIN pg_am AS method
            ON method.oid = index.relam
            AND method.amname = 'brin'
        WHERE
            monthly.is_staging
            -- A smaller one has no two block ranges to choose from.
            AND pg_relation_size(indexed.indrelid) > 128 * 8192
        ORDER BY index.relname
    LOOP
        BEGIN
            -- What the index is brought up in. The server may be at it: then nobody waits.
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', staging.partition);
            PERFORM brin_summarize_new_values(staging.index);
        EXCEPTION
            WHEN lock_not_available OR insufficient_privilege OR undefined_table OR undefined_object THEN
                CONTINUE;
        END;
    END LOOP;
END
$$;
