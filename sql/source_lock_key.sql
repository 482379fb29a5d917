-- The key of the lock that keeps other runs out of a source. Tenants share the locks
-- of a database, and a cluster may have several tenants.
--
-- source_uuid  uuid  the source

CREATE OR REPLACE FUNCTION source_lock_key(source_uuid uuid)
RETURNS bigint
LANGUAGE sql
STABLE
AS $$
SELECT hashtextextended('gristmill source ' || current_schema() || ' ' || source_uuid, 0);
$$;
