-- How many places in the lake have a record.
--
-- Reads  gristmill_lake  one row per place

SELECT count(*)
FROM gristmill_lake;
