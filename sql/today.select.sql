-- The present UTC day by the clock of the database.
--
-- Reads  no table

SELECT (now() AT TIME ZONE 'UTC')::date;
