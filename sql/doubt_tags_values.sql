-- Says of some tag keys that their values are in doubt: settle_tags_values, or the next
-- summary of any source, makes them anew.
--
-- Writes  gristmill_tag_key  one row per key that was ever in a label summary
--
-- keys  text[]  the keys, any number of times; null is as good as none
--
-- Other sources wait from here to the end of the transaction.

CREATE OR REPLACE FUNCTION doubt_tags_values(keys text[])
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    -- One at a time, as in refresh_tags_values, and only from here on.
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    INSERT INTO gristmill_tag_key AS known (key, values_state)
    SELECT DISTINCT
        doubted.key,
        'doubtful'
    FROM unnest(keys) AS doubted (key)
    ON CONFLICT (key) DO UPDATE
        SET values_state = EXCLUDED.values_state
        WHERE known.values_state = 'complete';
END
$$;
