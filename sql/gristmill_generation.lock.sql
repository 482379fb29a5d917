-- Waits until nothing is being loaded into a generation. Called when its run is dead
-- or has ended, so that nothing can begin again.
--
-- $1  generation  bigint  the generation

SELECT pg_advisory_xact_lock(
    hashtextextended('gristmill generation ' || current_schema() || ' ' || $1::bigint, 0)
);
