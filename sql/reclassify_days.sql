-- Brings a range of days up to date after the cost categories or the tag mapping
-- changed. No staged rows are needed, and only rows that the change concerns are
-- touched: in the daily summary those whose category or keys differ, in the tables
-- made of it the days that have such rows.
--
-- Reads   gristmill_day                             one row per source and day
-- Writes  reporting_ocpusagelineitem_daily_summary  as recategorize_day and apply_tag_mapping do
-- Writes  reporting_ocp_*_summary_p                 as refresh_ui_summaries does
--
-- start_date   date  the first UTC day, inclusive
-- end_date     date  the last UTC day, inclusive
-- source_uuid  uuid  the source
--
-- Returns one row per day that changed. A mapping that was taken away does not
-- undo itself, because its labels are no longer in the summary: summarize_days makes
-- such days anew from staging.

CREATE OR REPLACE FUNCTION reclassify_days(start_date date, end_date date, source_uuid uuid)
RETURNS TABLE (usage_day date, rows_recategorized bigint, rows_renamed bigint)
LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
DECLARE
    source ALIAS FOR source_uuid;
BEGIN
    FOR usage_day IN
        SELECT day.usage_day
        FROM gristmill_day AS day
        WHERE
            day.source_uuid = source
            AND day.usage_day BETWEEN start_date AND end_date
        ORDER BY day.usage_day
    LOOP
        rows_recategorized := recategorize_day(usage_day, source);
        rows_renamed := apply_tag_mapping(ARRAY[usage_day], source);

        IF rows_recategorized > 0 THEN
            PERFORM refresh_ui_summaries(ARRAY[usage_day], source);
        ELSIF rows_renamed > 0 THEN
            -- Of the tables made of the daily summary, only this one has labels.
            PERFORM refresh_vm_summary(ARRAY[usage_day], source);
        END IF;

        IF rows_recategorized > 0 OR rows_renamed > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
