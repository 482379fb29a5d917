-- The key of the lock that says that a scratch schema is at work.
--
-- scratch  text  the schema

CREATE OR REPLACE FUNCTION scratch_lock_key(scratch text)
RETURNS bigint
LANGUAGE sql
IMMUTABLE
AS $$
SELECT hashtextextended('gristmill scratch ' || scratch, 0);
$$;
