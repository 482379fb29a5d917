-- Records how many rows a generation has of each hour of a report kind. Called
-- once per file: two parts of a split report add up.
--
-- Writes  gristmill_coverage  one row per generation, report kind and hour
--
-- $1  generation  bigint         the generation
-- $2  report      text           the report kind
-- $3  hours       timestamptz[]  the hours' first instants
-- $4  rows        bigint[]       the rows of each, in the same order

INSERT INTO gristmill_coverage (generation, report, interval_start, rows)
SELECT
    $1,
    $2,
    hours.interval_start,
    hours.rows
FROM unnest($3::timestamptz[], $4::bigint[]) AS hours (interval_start, rows)
ON CONFLICT (generation, report, interval_start) DO UPDATE
    SET rows = gristmill_coverage.rows + excluded.rows;
