-- Has a key known under another key's name.
--
-- Reads   reporting_enabledtagkeys  one row per key and provider type
-- Writes  reporting_tagmapping      one row per renamed key
--
-- $1  child   text  the key that is renamed
-- $2  parent  text  the key that stays

INSERT INTO reporting_tagmapping (parent_id, child_id)
SELECT
    parent.uuid,
    child.uuid
FROM reporting_enabledtagkeys AS child
JOIN reporting_enabledtagkeys AS parent
    ON parent.provider_type = child.provider_type
WHERE
    child.key = $1
    AND parent.key = $2
    AND child.provider_type = 'OCP'
ON CONFLICT (child_id) DO UPDATE
    SET parent_id = excluded.parent_id;
