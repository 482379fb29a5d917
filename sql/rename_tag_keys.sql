-- A label set with its mapped keys renamed. Each key is treated by its own mapping:
-- where its parent is there already it is dropped, and the parent keeps its value;
-- of several keys with one parent that is not there, the longest wins, and of
-- equally long ones the last.
--
-- labels   jsonb  an object of text values
-- parents  jsonb  an object: the key that is renamed, and what it becomes

CREATE OR REPLACE FUNCTION rename_tag_keys(labels jsonb, parents jsonb)
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
SELECT jsonb_object_agg(
    COALESCE(parents ->> label.key, label.key),
    label.value
    -- The last of equal keys stays.
    ORDER BY
        parents ? label.key DESC,
        length(label.key),
        label.key COLLATE "C"
)
FROM jsonb_each(labels) AS label;
$$;
