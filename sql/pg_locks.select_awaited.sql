-- What a session waits for that another one holds, in words. No row when it does not wait.
--
-- Reads  pg_locks  the locks that it asked for
--
-- $1  process  integer  the server's process of the session

SELECT
    CASE
        WHEN awaited.relation IS NOT NULL
            THEN format('table `%s`', awaited.relation::regclass)
        WHEN awaited.locktype <> 'advisory'
            THEN 'the same rows'
        WHEN (awaited.classid::bigint << 32 | awaited.objid::bigint)
            = hashtextextended('refresh_tags_values ' || current_schema(), 0)
            THEN 'the values of tags'
        WHEN (awaited.classid::bigint << 32 | awaited.objid::bigint)
            = hashtextextended('ensure_month ' || current_schema(), 0)
            THEN 'partitions'
        ELSE 'the same'
    END
FROM pg_locks AS awaited
WHERE
    awaited.pid = $1
    AND NOT awaited.granted
LIMIT 1;
