-- Drops a scratch schema, some tables at a time: each holds locks, and those of a
-- transaction are bounded.
--
-- Reads   scratch_schemas()  what may be dropped: nothing else is
-- Reads   pg_class           the tables that are left
-- Reads   pg_locks           sessions of ours that use them still; they are ended
-- Writes  gristmill_lake     the places in the lake that it has on record: they outlive it
--
-- scratch     text     the schema
-- tables_max  integer  how many tables go at a time
--
-- Returns whether it is gone.

CREATE OR REPLACE FUNCTION drop_scratch_schema(scratch text, tables_max integer)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    of_scratch CONSTANT regnamespace := to_regnamespace(quote_ident(scratch));
    of_table name;
BEGIN
    IF NOT EXISTS (SELECT FROM scratch_schemas() AS known WHERE known.scratch = drop_scratch_schema.scratch) THEN
        RETURN true;
    END IF;

    -- Those of a program that died, or that is about to.
    PERFORM pg_terminate_backend(activity.pid)
    FROM pg_stat_activity AS activity
    WHERE
        activity.datname = current_database()
        AND activity.usename = current_user
        AND activity.application_name = 'gristmill'
        AND activity.pid <> pg_backend_pid()
        AND EXISTS (
            SELECT
            FROM pg_locks AS held
            JOIN pg_database AS this
                ON this.oid = held.database
                AND this.datname = current_database()
            JOIN pg_class AS class
                ON class.oid = held.relation
                AND class.relnamespace = of_scratch
            WHERE held.pid = activity.pid
        );

    -- Before the first table goes: what is at these places goes with the next run of the
    -- source, or with `clean`.
    IF to_regclass(format('%I.gristmill_lake', scratch)) IS NOT NULL THEN
        EXECUTE format(
            'WITH places AS (
                DELETE FROM %I.gristmill_lake AS place
                RETURNING place.*
            )
            INSERT INTO gristmill_lake (place, location, source_uuid, run_id, begun_at, keep_until)
            SELECT place.place, place.location, place.source_uuid, place.run_id, place.begun_at, now()
            FROM places AS place
            ON CONFLICT DO NOTHING',
            scratch
        );
    END IF;

    FOR of_table IN
        SELECT class.relname
        FROM pg_class AS class
        WHERE
            class.relnamespace = of_scratch
            AND class.relkind IN ('r', 'p')
        -- A table goes behind its partitions.
        ORDER BY class.relispartition DESC
        LIMIT tables_max
    LOOP
        EXECUTE format('DROP TABLE %I.%I CASCADE', scratch, of_table);
    END LOOP;

    IF FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP SCHEMA %I CASCADE', scratch);
    RETURN true;
END
$$;
