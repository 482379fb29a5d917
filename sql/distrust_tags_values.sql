-- Has the next summary of any source make the values of all tags anew, whatever
-- happened to them.
--
-- Reads   reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Reads   reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
-- Reads   reporting_ocptags_values                 one row per key and value
-- Writes  gristmill_tag_key                        one row per key that was ever in a label summary

CREATE OR REPLACE FUNCTION distrust_tags_values()
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    -- One at a time, as in refresh_tags_values.
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    INSERT INTO gristmill_tag_key AS known (key, values_state)
    SELECT pod.key, 'doubtful'
    FROM reporting_ocpusagepodlabel_summary AS pod
    UNION
    SELECT volume.key, 'doubtful'
    FROM reporting_ocpstoragevolumelabel_summary AS volume
    UNION
    SELECT tag.key, 'doubtful'
    FROM reporting_ocptags_values AS tag
    UNION
    SELECT earlier.key, 'doubtful'
    FROM gristmill_tag_key AS earlier
    ON CONFLICT (key) DO UPDATE
        SET values_state = EXCLUDED.values_state
        WHERE known.values_state <> EXCLUDED.values_state;
END
$$;
