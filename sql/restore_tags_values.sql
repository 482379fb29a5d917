-- Makes the values of all enabled tags anew, whatever happened to them: for those who
-- ask for summaries again.
--
-- Reads   reporting_enabledtagkeys                   one row per key and kind of provider
-- Writes  as distrust_tags_values and refresh_tags_values do
--
-- Other sources wait from here to the end of the transaction: call it last.

CREATE OR REPLACE FUNCTION restore_tags_values()
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM distrust_tags_values();

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
