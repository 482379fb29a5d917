-- Whether the session's role may create in a schema, or the schema itself where there is
-- none.
--
-- Reads  pg_namespace  one row per schema
--
-- $1  schema_name  text  the schema
--
-- Returns the role, the database, whether the schema is there, and the right. One row.

SELECT
    current_user::text AS role_name,
    current_database()::text AS database_name,
    tenant.oid IS NOT NULL AS is_there,
    CASE
        WHEN tenant.oid IS NULL
            THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(tenant.oid, 'CREATE')
    END AS may_create
FROM (VALUES ($1::text)) AS asked (schema_name)
LEFT JOIN pg_namespace AS tenant
    ON tenant.nspname = asked.schema_name;
