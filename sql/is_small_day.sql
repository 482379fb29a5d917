-- Whether a day has so few rows that planning its queries, counting what they read and
-- starting processes for them costs more than the queries.
--
-- staged_rows  bigint  the hourly rows of the day

CREATE OR REPLACE FUNCTION is_small_day(staged_rows bigint)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $$
SELECT COALESCE(staged_rows, 0) < 50000
$$;
