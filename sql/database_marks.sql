-- What tells this database from a copy of it: the server's identifier, null where our
-- role may not call pg_control_system, and the database's number on that server.
--
-- Reads  pg_control_system  of the server
-- Reads  pg_database        this database
--
-- In PL/pgSQL, since a statement that names a function needs the right to call it
-- even where it would not.

CREATE OR REPLACE FUNCTION database_marks(
    OUT system_identifier bigint,
    OUT database_oid oid
)
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        SELECT control.system_identifier
        INTO database_marks.system_identifier
        FROM pg_catalog.pg_control_system() AS control;
    END IF;
    SELECT this.oid
    INTO database_marks.database_oid
    FROM pg_catalog.pg_database AS this
    WHERE this.datname = current_database();
END;
$$;
