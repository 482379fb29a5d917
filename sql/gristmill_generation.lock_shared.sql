-- Shows that something is being loaded into a generation, until the transaction ends.
-- A server goes on with the COPY of a client that died, if it has all of it.
--
-- $1  generation  bigint  the generation

SELECT pg_advisory_xact_lock_shared(
    hashtextextended('gristmill generation ' || current_schema() || ' ' || $1::bigint, 0)
);
