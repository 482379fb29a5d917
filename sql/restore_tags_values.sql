-- Makes the values of all enabled tags anew, whatever happened to them: for those who
-- ask for summaries again.
--
-- Writes  as distrust_tags_values and settle_tags_values do
--
-- Other sources wait from here to the end of the transaction: call it last.

CREATE OR REPLACE FUNCTION restore_tags_values()
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM distrust_tags_values();
    PERFORM settle_tags_values();
END
$$;
