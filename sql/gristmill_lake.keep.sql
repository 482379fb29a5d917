-- Says how long a place in the lake stays, whose hours are folded.
--
-- Writes  gristmill_lake  one row per place
--
-- $1  place  text     the place
-- $2  days   integer  for so long from now on

UPDATE gristmill_lake
SET keep_until = now() + make_interval(days => $2)
WHERE place = $1;
