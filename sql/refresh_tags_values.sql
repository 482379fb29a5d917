-- Brings the values of tags up to date with the label summaries, which hold no other
-- keys than these: what has changed of a month is added; keys that were enabled again
-- are made anew of all clusters and months; the values of those that are no longer
-- enabled go.
--
-- Reads   add_tags_values, remake_tags_values  once
-- Writes  gristmill_tag_key                    one row per key that was ever in a label summary
-- Writes  reporting_ocptags_values             one row per key and value
--
-- period        integer  the report period whose label summaries were made; of no matter without a changed key
-- changed_keys  text[]   the keys of which that changed anything
-- enabled_keys  text[]   the keys that are enabled, as the label summaries were told
--
-- All sources write the same rows, one source at a time from here to the end of its
-- transaction: call it last. Nothing to do is nothing to wait for.

CREATE OR REPLACE FUNCTION refresh_tags_values(period integer, changed_keys text[], enabled_keys text[])
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    disabled_keys text[];
    doubtful_keys text[];
BEGIN
    IF cardinality(changed_keys) = 0 AND NOT EXISTS (
        SELECT
        FROM gristmill_tag_key AS known
        WHERE known.values_state <> CASE WHEN known.key = ANY (enabled_keys) THEN 'complete' ELSE 'removed' END
    ) THEN
        RETURN;
    END IF;

    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    SELECT
        COALESCE(array_agg(known.key) FILTER (WHERE known.key <> ALL (enabled_keys)), '{}'),
        COALESCE(array_agg(known.key) FILTER (WHERE known.key = ANY (enabled_keys)), '{}')
    INTO disabled_keys, doubtful_keys
    FROM gristmill_tag_key AS known
    WHERE known.values_state <> CASE WHEN known.key = ANY (enabled_keys) THEN 'complete' ELSE 'removed' END;

    IF cardinality(disabled_keys) > 0 THEN
        DELETE FROM reporting_ocptags_values AS known
        WHERE known.key = ANY (disabled_keys);
    END IF;

    IF cardinality(doubtful_keys) > 0 THEN
        PERFORM remake_tags_values(doubtful_keys);
    END IF;

    UPDATE gristmill_tag_key AS known
    SET values_state = CASE WHEN known.key = ANY (enabled_keys) THEN 'complete' ELSE 'removed' END
    WHERE known.key = ANY (disabled_keys || doubtful_keys);

    changed_keys := ARRAY(
        SELECT changed.key
        FROM unnest(changed_keys) AS changed (key)
        WHERE
            changed.key = ANY (enabled_keys)
            AND changed.key <> ALL (doubtful_keys)
    );

    IF cardinality(changed_keys) > 0 THEN
        PERFORM add_tags_values(period, changed_keys);

        -- A key that was in no label summary before has no values in any other.
        INSERT INTO gristmill_tag_key (key, values_state)
        SELECT DISTINCT
            changed.key,
            'complete'
        FROM unnest(changed_keys) AS changed (key)
        ON CONFLICT (key) DO NOTHING;
    END IF;
END
$$;
