-- The comment of a schema that is scratch of this one: by it such a schema is found when
-- the program that made it has died.
--
-- Reads  current_schema  whose scratch it is

CREATE OR REPLACE FUNCTION scratch_mark()
RETURNS text
LANGUAGE sql
STABLE
AS $$
SELECT format('scratch of gristmill for schema %I, dropped by `gristmill clean`', current_schema());
$$;
