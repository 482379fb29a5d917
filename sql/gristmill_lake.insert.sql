-- Writes down a place in the lake, before anything is there.
--
-- Writes  gristmill_lake  one row per place
--
-- $1  place        text    the place
-- $2  location     text    the lake's location
-- $3  source_uuid  uuid    the source
-- $4  run_id       bigint  the run that fills it

INSERT INTO gristmill_lake (place, location, source_uuid, run_id)
VALUES ($1, $2, $3, $4);
