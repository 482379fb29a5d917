-- Makes every summary of a range of days from staged rows, in place of what was
-- there: all that the publish of a payload has to do once its days are claimed.
--
-- Reads   gristmill_source                          one row per source
-- Reads   reporting_enabledtagkeys                  one row per key and kind of provider
-- Reads   pg_temp.daily_pods                        whether this session has made a day; see make_daily_tables
-- Writes  reporting_ocpusagelineitem_daily_summary  as populate_daily_summary_from_staging does
-- Writes  reporting_ocp_*_summary_p                 as the refresh_… functions do
-- Writes  reporting_ocp*label_summary, reporting_ocptags_values, gristmill_tag_key
-- Writes  gristmill_cloud_hint                      one row per source
-- Writes  as rename_day does                        while the source is being renamed
-- Writes  gristmill_day                             as record_makers does
--
-- start_date   date  the first UTC day, inclusive
-- end_date     date  the last UTC day, inclusive, of the same month
-- source_uuid  uuid  the source
--
-- Says what it is at, as clients are told whatever they want to hear (`INFO`).
--
-- Returns how many rows the daily summary gained and lost. Days that nobody holds,
-- or whose staged rows are no longer kept, stay as they are in every table.

CREATE OR REPLACE FUNCTION summarize_days(start_date date, end_date date, source_uuid uuid)
RETURNS TABLE (rows_inserted bigint, rows_deleted bigint)
LANGUAGE plpgsql
-- As in populate_daily_summary_from_staging.
SET work_mem = '128MB'
SET plan_cache_mode = auto
SET jit = off
AS $$
DECLARE
    source ALIAS FOR source_uuid;
    -- The tables of a day last as long as the session.
    is_first CONSTANT boolean := to_regclass('pg_temp.daily_pods') IS NULL;
    cluster record;
    period integer;
    days date[];
    enabled_keys text[];
    changed_keys text[];
BEGIN
    SELECT
        known.cluster_id,
        known.cluster_alias,
        known.is_being_renamed
    INTO cluster
    FROM gristmill_source AS known
    WHERE known.source_uuid = source;

    -- Whoever publishes has made them before, in a transaction of its own.
    PERFORM ensure_summaries(start_date);
    -- Says so when the source is not registered.
    period := ensure_report_period(source, start_date);

    RAISE INFO 'gristmill: summarizing the rows of % to %', start_date, end_date;
    SELECT
        populated.rows_inserted,
        populated.rows_deleted,
        populated.days
    INTO
        rows_inserted,
        rows_deleted,
        days
    FROM populate_daily_summary_from_staging(
        start_date,
        end_date,
        period,
        cluster.cluster_id,
        cluster.cluster_alias,
        source
    ) AS populated;

    -- As there: the tables of reports are made of these rows, each of some ten hours.
    PERFORM set_config('plan_cache_mode', plan_mode_of_day(10 * rows_inserted, is_first), true);

    PERFORM record_makers(days, source);

    -- One view of them, whoever changes them meanwhile.
    enabled_keys := ARRAY(
        SELECT tag.key
        FROM reporting_enabledtagkeys AS tag
        WHERE
            tag.provider_type = 'OCP'
            AND tag.enabled
    );

    RAISE INFO 'gristmill: summarizing the labels of % to %', start_date, end_date;
    -- Label summaries show keys as they were reported.
    changed_keys := refresh_pod_label_summary(days, period, source, enabled_keys)
        || refresh_volume_label_summary(days, period, source, enabled_keys);
    PERFORM apply_tag_mapping(days, source);

    IF cluster.is_being_renamed THEN
        -- Rows of cloud bills, which are not made anew, get the alias that the others have.
        PERFORM rename_day(source, day.usage_day) FROM unnest(days) AS day (usage_day);
    END IF;

    RAISE INFO 'gristmill: making the tables of reports of % to %', start_date, end_date;
    PERFORM refresh_ui_summaries(days, source);
    PERFORM refresh_gpu_summary(days, source);

    IF cardinality(days) > 0 THEN
        PERFORM refresh_cloud_hint(source);
    END IF;

    RAISE INFO 'gristmill: making the values of tags';
    -- Last, because other sources wait from here on.
    PERFORM refresh_tags_values(period, changed_keys, enabled_keys);

    RETURN NEXT;
END
$$;
