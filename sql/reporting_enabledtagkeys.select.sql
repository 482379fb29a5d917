-- Lists the tag keys that are known, and the key that each is renamed to.
--
-- Reads  reporting_enabledtagkeys  one row per key and provider type
-- Reads  reporting_tagmapping      one row per renamed key

SELECT
    known.key,
    known.enabled,
    parent.key AS parent
FROM reporting_enabledtagkeys AS known
LEFT JOIN reporting_tagmapping AS mapping
    ON mapping.child_id = known.uuid
LEFT JOIN reporting_enabledtagkeys AS parent
    ON parent.uuid = mapping.parent_id
WHERE known.provider_type = 'OCP'
ORDER BY known.key COLLATE "C";
