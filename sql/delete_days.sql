-- Removes all rows of some days of a source, whoever made them, from every table that has
-- rows of days.
--
-- Reads   daily_tables          one row per table
-- Reads   partitions_by_month   one row per partition
-- Reads   gristmill_generation  one row per generation
-- Writes  every daily table     one row per day and whatever the table is about
--
-- source     uuid  the source
-- first_day  date  the first UTC day, inclusive
-- last_day   date  the last UTC day, inclusive
--
-- Returns one row per table that had such rows.
--
-- The statement made for each table or partition is given
-- $1  the source
-- $2  its generations
-- $3  the first instant
-- $4  the end
-- $5  the first day
-- $6  the last day
--
-- Partitions are visited by name: a statement on the whole table would lock those of
-- all months.

CREATE OR REPLACE FUNCTION delete_days(source uuid, first_day date, last_day date)
RETURNS TABLE (table_name text, rows bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    generations CONSTANT bigint[] := ARRAY(
        SELECT generation.id
        FROM gristmill_generation AS generation
        WHERE generation.source_uuid = source
    );
    place record;
    rows_deleted bigint;
BEGIN
    FOR place IN
        SELECT
            daily.*,
            COALESCE(partition.relname::text, daily.table_name) AS name
        FROM daily_tables() AS daily
        LEFT JOIN pg_inherits AS inheritance
            ON daily.is_partitioned
            AND inheritance.inhparent = to_regclass(format('%I.%I', current_schema(), daily.table_name))
        LEFT JOIN pg_class AS partition
            ON partition.oid = inheritance.inhrelid
        LEFT JOIN partitions_by_month() AS of_month
            ON of_month.partition_name = partition.relname
        WHERE
            (partition.oid IS NOT NULL OR NOT daily.is_partitioned)
            AND (of_month.month IS NULL OR of_month.month BETWEEN date_trunc('month', first_day::timestamp) AND last_day)
        -- Details go before what they are details of.
        ORDER BY
            daily.table_name DESC,
            partition.relname
    LOOP
        EXECUTE format(
            'DELETE FROM %I.%I WHERE %s AND %s',
            current_schema(),
            place.name,
            CASE WHEN place.by_generation THEN 'generation = ANY ($2)' ELSE 'source_uuid = $1' END,
            format(
                CASE WHEN place.is_instant THEN '%1$I >= $3 AND %1$I < $4' ELSE '%1$I BETWEEN $5 AND $6' END,
                place.day_column
            )
        )
        USING
            source,
            generations,
            first_day::timestamp AT TIME ZONE 'UTC',
            (last_day + 1)::timestamp AT TIME ZONE 'UTC',
            first_day,
            last_day;
        GET DIAGNOSTICS rows_deleted = ROW_COUNT;

        IF rows_deleted > 0 THEN
            table_name := place.table_name;
            rows := rows_deleted;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
