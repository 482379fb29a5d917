-- The places in the lake that nobody needs any more, or that a dead run left: whoever asks
-- has the lock of the source.
--
-- Reads  gristmill_lake  one row per place
--
-- $1  source_uuid  uuid  the source

SELECT
    lake.place,
    lake.location
FROM gristmill_lake AS lake
WHERE
    lake.source_uuid = $1
    AND COALESCE(lake.keep_until <= now(), true)
ORDER BY lake.place;
