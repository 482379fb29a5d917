-- The identity of this database. `database_marks` asks the same later on.

DO $$
DECLARE
    system_identifier bigint;
BEGIN
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        SELECT control.system_identifier
        INTO system_identifier
        FROM pg_catalog.pg_control_system() AS control;
    END IF;
    INSERT INTO gristmill_archive_owner (identity, system_identifier, database_oid)
    SELECT
        gen_random_uuid(),
        system_identifier,
        this.oid
    FROM pg_catalog.pg_database AS this
    WHERE this.datname = current_database();
END;
$$;
