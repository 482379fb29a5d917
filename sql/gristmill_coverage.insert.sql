-- Records how many rows a generation has of each hour of its report kinds. Several parts of a
-- split report add up.
--
-- Writes  gristmill_coverage  one row per generation, report kind and hour
--
-- $1  generation  bigint         the generation
-- $2  reports     text[]         report kinds
-- $3  hours       timestamptz[]  an hour's first instant, for each of them
-- $4  rows        bigint[]       the rows of that hour, in the same order

INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
SELECT
    $1,
    hours.report,
    hours.interval_start,
    sum(hours.rows)::bigint
FROM unnest($2::text[], $3::timestamptz[], $4::bigint[]) AS hours (report, interval_start, rows)
GROUP BY
    hours.report,
    hours.interval_start
ON CONFLICT (generation, report, interval_start) DO UPDATE
    SET rows = gristmill_coverage.rows + excluded.rows;
