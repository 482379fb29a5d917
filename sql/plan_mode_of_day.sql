-- How a day's queries are planned, as `plan_cache_mode` says it.
--
-- Reads  pg_inherits  the months that there are
--
-- staged_rows  bigint   the hourly rows of the day
-- is_first     boolean  whether this session has made no day before
--
-- Returns force_generic_plan for small days but the first: the queries of these are planned
-- once a session. Such a plan is of all months, and whoever runs it locks them. Where there are
-- many, and for a large day, queries are planned for the day at hand, whose months and block
-- ranges are known; and for a day that may be the only one, since that takes less.

CREATE OR REPLACE FUNCTION plan_mode_of_day(staged_rows bigint, is_first boolean)
RETURNS text
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    RETURN CASE
        WHEN
            NOT is_first
            AND is_small_day(staged_rows)
            AND NOT EXISTS (
                SELECT
                FROM pg_inherits AS inheritance
                WHERE
                    inheritance.inhparent IN (
                        to_regclass('reporting_ocpusagelineitem_daily_summary'),
                        to_regclass('reporting_ocpusagelineitem_pod_staging')
                    )
                GROUP BY inheritance.inhparent
                HAVING count(*) > 8
            )
            THEN 'force_generic_plan'
        ELSE 'force_custom_plan'
    END;
END
$$;
