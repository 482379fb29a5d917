-- Makes the values of enabled tags anew that are in doubt, and removes those of tags that
-- are enabled no more.
--
-- Reads   reporting_enabledtagkeys         one row per key and kind of provider
-- Writes  as refresh_tags_values does
--
-- Other sources wait from here to the end of the transaction: call it last.

CREATE OR REPLACE FUNCTION settle_tags_values()
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_tags_values(
        NULL,
        '{}',
        ARRAY(
            SELECT tag.key
            FROM reporting_enabledtagkeys AS tag
            WHERE
                tag.provider_type = 'OCP'
                AND tag.enabled
        )
    );
END
$$;
