-- Strikes out a place in the lake, of which nothing is left.
--
-- Writes  gristmill_lake  one row per place
--
-- $1  place  text  the place

DELETE FROM gristmill_lake
WHERE place = $1;
