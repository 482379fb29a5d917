-- Makes the values of one tag anew if they are in doubt, as settle_tags_values does of all
-- of them at once.
--
-- Reads   reporting_enabledtagkeys   one row per key and kind of provider
-- Reads   remake_tags_values         once
-- Writes  gristmill_tag_key          one row per key that was ever in a label summary
-- Writes  reporting_ocptags_values   one row per key and value
--
-- tag_key  text  the key
--
-- Other sources wait from here to the end of the transaction.

CREATE OR REPLACE FUNCTION settle_tag_value(tag_key text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    is_enabled boolean;
BEGIN
    -- One at a time, as in refresh_tags_values.
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    PERFORM
    FROM gristmill_tag_key AS known
    WHERE
        known.key = tag_key
        AND known.values_state = 'doubtful';
    IF NOT FOUND THEN
        RETURN;
    END IF;

    SELECT COALESCE(bool_or(tag.enabled), false)
    INTO is_enabled
    FROM reporting_enabledtagkeys AS tag
    WHERE
        tag.key = tag_key
        AND tag.provider_type = 'OCP';

    IF is_enabled THEN
        PERFORM remake_tags_values(ARRAY[tag_key]);
    ELSE
        DELETE FROM reporting_ocptags_values AS known
        WHERE known.key = tag_key;
    END IF;

    UPDATE gristmill_tag_key AS known
    SET values_state = CASE WHEN is_enabled THEN 'complete' ELSE 'removed' END
    WHERE known.key = tag_key;
END
$$;
