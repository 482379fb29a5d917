-- As rows_of_day_part.
--
-- $1  part         text         the table of day parts
-- $2  generation   bigint       the generation
-- $3  range_start  timestamptz  the first hour or day
-- $4  range_end    timestamptz  the last one

SELECT
    counted.start,
    counted.rows
FROM rows_of_day_part($1, $2, $3, $4) AS counted;
