-- Removes the rows of some days from a generation that has just been loaded.
--
-- Reads   staging_partitions, daily_tables  where its rows are, and which column says the day
-- Writes  every staging table               one row per generation, hour and object
-- Writes  gristmill_coverage                one row per generation, report kind and hour
--
-- generation  bigint  the generation, whose coverage is recorded
-- days        date[]  the UTC days
--
-- The statement made for each partition is given
-- $1  the generation
-- $2  the days

CREATE OR REPLACE FUNCTION forget_days(generation bigint, days date[])
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    loaded ALIAS FOR generation;
    place record;
BEGIN
    FOR place IN
        SELECT
            partition.name,
            CASE
                WHEN daily.is_instant THEN format('(%I AT TIME ZONE ''UTC'')::date', daily.day_column)
                ELSE quote_ident(daily.day_column)
            END AS day
        FROM staging_partitions(loaded) AS partition (name)
        JOIN pg_inherits AS inheritance
            ON inheritance.inhrelid = to_regclass(format('%I.%I', current_schema(), partition.name))
        JOIN pg_class AS parent
            ON parent.oid = inheritance.inhparent
        JOIN daily_tables() AS daily
            ON daily.table_name = parent.relname
    LOOP
        EXECUTE format(
            'DELETE FROM %I.%I WHERE generation = $1 AND %s = ANY ($2)',
            current_schema(), place.name, place.day
        ) USING loaded, days;
    END LOOP;

    DELETE FROM gristmill_coverage AS coverage
    WHERE
        coverage.generation = loaded
        AND (coverage.interval_start AT TIME ZONE 'UTC')::date = ANY (days);
END
$$;
