-- Lets a role read all tables and views of the schema, those of today and those that come,
-- partitions of future months among them; and nothing else. The secret stays its owner's.
--
-- Reads   pg_class        the tables and views
-- Writes  pg_class        who may read them
-- Writes  pg_default_acl  who may read those that come
--
-- reader  text  the role
--
-- Returns how many tables and views it may read.

CREATE OR REPLACE FUNCTION grant_reader(reader text)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    relation record;
    owner_of_tables text;
    granted bigint := 0;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), reader);

    FOR relation IN
        SELECT class.relname
        FROM pg_class AS class
        WHERE
            class.relnamespace = current_schema()::regnamespace
            AND class.relkind IN ('r', 'p', 'v', 'm')
            AND class.relname <> 'gristmill_secret'
        ORDER BY class.relname
    LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', current_schema(), relation.relname, reader);
        granted := granted + 1;
    END LOOP;

    -- Whoever owns the tables makes those that come.
    FOR owner_of_tables IN
        SELECT DISTINCT pg_get_userbyid(class.relowner)
        FROM pg_class AS class
        WHERE
            class.relnamespace = current_schema()::regnamespace
            AND class.relkind = 'p'
    LOOP
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
            owner_of_tables, current_schema(), reader
        );
    END LOOP;

    IF NOT has_database_privilege(reader, current_database(), 'CONNECT') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader);
    END IF;
    RETURN granted;
END
$$;
