-- Bounds the time of each statement until the end of the transaction.
--
-- $1  milliseconds  text  the bound, as Postgres reads it
--
-- Returns what it was before.

WITH before AS MATERIALIZED (
    -- One row, read before it is changed.
    SELECT current_setting('statement_timeout') AS timeout
)
SELECT
    before.timeout,
    set_config('statement_timeout', $1, true)
FROM before;
