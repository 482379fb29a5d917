-- Gives all rows of a day of a source the alias that the source has now. Returns how many
-- that were.
--
-- Reads   gristmill_source                          one row per source
-- Reads   daily_tables                              one row per table
-- Writes  every daily table that shows an alias     one row per day and whatever the table is about
-- Writes  as refresh_ui_summaries does
--
-- source     uuid  the source
-- usage_day  date  a UTC day
--
-- Called by itself it is one transaction, so that nobody sees two aliases on one day. Where
-- there are two, rows that belong together are apart: what is made of the daily summary is
-- made anew then.
--
-- The statement made for each table is given
-- $1  the alias
-- $2  the source
-- $3  the day

CREATE OR REPLACE FUNCTION rename_day(source uuid, usage_day date)
RETURNS bigint
LANGUAGE plpgsql
-- The day decides which partition is read, and locked.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    alias CONSTANT text := (
        SELECT known.cluster_alias
        FROM gristmill_source AS known
        WHERE known.source_uuid = source
    );
    had_several CONSTANT boolean := (
        SELECT count(DISTINCT summary.cluster_alias) > 1
        FROM reporting_ocpusagelineitem_daily_summary AS summary
        WHERE
            summary.usage_start = usage_day
            AND summary.source_uuid = source
    );
    daily record;
    rows_here bigint;
    rows_updated bigint := 0;
BEGIN
    FOR daily IN
        SELECT aliased.*
        FROM daily_tables() AS aliased
        WHERE
            aliased.is_aliased
            AND NOT aliased.is_instant
            AND NOT aliased.by_generation
        ORDER BY aliased.table_name
    LOOP
        EXECUTE format(
            'UPDATE %I.%I SET cluster_alias = $1
            WHERE source_uuid = $2 AND %I = $3 AND cluster_alias IS DISTINCT FROM $1',
            current_schema(), daily.table_name, daily.day_column
        ) USING alias, source, usage_day;
        GET DIAGNOSTICS rows_here = ROW_COUNT;
        rows_updated := rows_updated + rows_here;
    END LOOP;

    IF had_several THEN
        PERFORM refresh_ui_summaries(ARRAY[usage_day], source);
    END IF;

    RETURN rows_updated;
END
$$;
