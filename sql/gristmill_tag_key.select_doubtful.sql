-- Lists the tag keys whose values are to be made anew.
--
-- Reads  gristmill_tag_key  one row per key that was ever in a label summary

SELECT key
FROM gristmill_tag_key
WHERE values_state = 'doubtful'
ORDER BY key;
