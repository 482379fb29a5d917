-- The uuid that comes next of rows that are made together. They follow each other, so
-- that an index of them grows at one place and not all over.
--
-- Reads  gristmill_uuid_number  a sequence
--
-- uuid_start  text  how all of them begin: `left(gen_random_uuid()::text, -12)`, once a statement

CREATE OR REPLACE FUNCTION next_uuid(uuid_start text)
RETURNS uuid
LANGUAGE sql
VOLATILE
AS $$
SELECT (uuid_start || to_hex(nextval('gristmill_uuid_number')))::uuid;
$$;
