-- Waits until nobody else changes tag keys or mappings, and keeps others out to
-- the end of the transaction: what is checked here must still hold when written.
--
-- Writes  nothing: the lock is one that all who change them ask for

SELECT pg_advisory_xact_lock(hashtextextended('gristmill tags ' || current_schema(), 0));
