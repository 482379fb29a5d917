-- Has keys known under their own names again.
--
-- Reads   reporting_enabledtagkeys  one row per key and provider type
-- Writes  reporting_tagmapping      one row per renamed key
--
-- $1  children  text[]  the keys that were renamed

DELETE FROM reporting_tagmapping AS mapping
USING reporting_enabledtagkeys AS child
WHERE
    child.uuid = mapping.child_id
    AND child.key = ANY ($1::text[])
    AND child.provider_type = 'OCP';
