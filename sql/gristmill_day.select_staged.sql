-- Lists the days of a source whose staged rows are all still there.
--
-- Reads  held_days  one row per day that can be summarised
--
-- $1  source_uuid  uuid  the source
-- $2  first_day    date  the first day, inclusive
-- $3  last_day     date  the last day, inclusive

SELECT held.usage_day
FROM held_days(
    ARRAY(
        SELECT day.usage_day
        FROM gristmill_day AS day
        WHERE
            day.source_uuid = $1
            AND day.usage_day BETWEEN $2 AND $3
    ),
    $1
) AS held
ORDER BY held.usage_day;
