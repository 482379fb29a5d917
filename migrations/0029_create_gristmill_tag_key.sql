-- How far the values of tags are with each key. This state alone decides which
-- of them are refreshed, so it does not matter who enabled or disabled a key, and when.
--
-- Grain: one row per key that label summaries were ever made with.

CREATE TABLE gristmill_tag_key (
    key text PRIMARY KEY,
    values_state text NOT NULL CHECK (values_state IN ('complete', 'doubtful', 'removed'))
);

COMMENT ON COLUMN gristmill_tag_key.values_state
    IS 'complete: reporting_ocptags_values has all that label summaries of any cluster and month have of it; removed: it has nothing, because the key was disabled; doubtful: it has to be made anew';
