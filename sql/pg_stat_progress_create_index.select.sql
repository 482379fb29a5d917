-- Tells how far a session is with the index that it is making.
--
-- Reads  pg_stat_progress_create_index  one row per session that makes an index
--
-- $1  process  integer  the server's process of the session
--
-- Returns the table and the share of its blocks that were read, in percent; no row when
-- the session makes no index, or that is not known yet.

SELECT
    making.relid::regclass::text AS indexed_table,
    100 * making.blocks_done / making.blocks_total AS percent
FROM pg_stat_progress_create_index AS making
WHERE
    making.pid = $1
    AND making.blocks_total > 0;
