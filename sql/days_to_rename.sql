-- The days of a month on which a source has rows with another alias than it has now.
--
-- Reads  gristmill_source                       one row per source
-- Reads  daily_tables                           one row per table
-- Reads  every daily table that shows an alias  one row per day and whatever the table is about
--
-- source  uuid  the source
-- month   date  the first day of the month
--
-- The statement made for each table is given
-- $1  the source
-- $2  the first day of the month
-- $3  the first day of the next one

CREATE OR REPLACE FUNCTION days_to_rename(source uuid, month date)
RETURNS SETOF date
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    statements text;
BEGIN
    SELECT string_agg(
        format(
            'SELECT renamed.%3$I FROM %1$I.%2$I AS renamed JOIN gristmill_source AS source USING (source_uuid)
            WHERE renamed.source_uuid = $1 AND renamed.%3$I >= $2 AND renamed.%3$I < $3
            AND renamed.cluster_alias IS DISTINCT FROM source.cluster_alias',
            current_schema(), aliased.table_name, aliased.day_column
        ),
        ' UNION '
    )
    INTO statements
    FROM daily_tables() AS aliased
    WHERE
        aliased.is_aliased
        AND NOT aliased.is_instant
        AND NOT aliased.by_generation;

    RETURN QUERY EXECUTE statements || ' ORDER BY 1'
    USING source, month, (month + interval '1 month')::date;
END
$$;
