-- Lists the scratch schemas of this one, those at work and those that were left.
--
-- Reads  pg_namespace  their names, and their comments
--
-- Returns one row per schema. Those of other tenants of the database are not among them.

CREATE OR REPLACE FUNCTION scratch_schemas()
RETURNS TABLE (scratch text)
LANGUAGE sql
STABLE
AS $$
SELECT namespace.nspname::text
FROM pg_namespace AS namespace
WHERE
    namespace.nspname LIKE 'gristmill\_scratch\_%'
    AND obj_description(namespace.oid, 'pg_namespace') = scratch_mark()
    -- What another role made, it alone may drop.
    AND pg_has_role(namespace.nspowner, 'USAGE')
ORDER BY namespace.nspname;
$$;
