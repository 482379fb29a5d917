-- Makes a scratch schema: empty, with a name by chance, marked as ours, and locked until
-- the session ends.
--
-- Reads  scratch_mark()  the mark
--
-- Returns its name. Nobody sees it without its mark, or finds it unlocked while the session
-- is there.

CREATE OR REPLACE FUNCTION create_scratch_schema()
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    scratch CONSTANT text := 'gristmill_scratch_' || left(replace(gen_random_uuid()::text, '-', ''), 16);
BEGIN
    PERFORM pg_advisory_lock(scratch_lock_key(scratch));
    EXECUTE format('CREATE SCHEMA %I', scratch);
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', scratch, scratch_mark());
    RETURN scratch;
END
$$;
