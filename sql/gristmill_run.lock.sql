-- Shows that a run is at work, until the session ends. Called before others can see
-- the run.
--
-- $1  run_id  bigint  the run

SELECT pg_advisory_lock(hashtextextended('gristmill run ' || current_schema() || ' ' || $1::bigint, 0));
