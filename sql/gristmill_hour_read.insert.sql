-- Records the rows that were read for a generation, by hour. Called once per generation.
--
-- Writes  gristmill_hour_read  one row per generation, report kind and hour
--
-- $1  generation  bigint         the generation
-- $2  reports     text[]         the report kind of each hour
-- $3  hours       timestamptz[]  the hours' first instants
-- $4  rows_read   bigint[]       the rows of each
-- $5  digests     bytea[]        the digest of each, 16 bytes

INSERT INTO gristmill_hour_read (generation, report, interval_start, rows_read, digest)
SELECT
    $1,
    hours.report,
    hours.interval_start,
    hours.rows_read,
    hours.digest
FROM unnest($2::text[], $3::timestamptz[], $4::bigint[], $5::bytea[])
    AS hours (report, interval_start, rows_read, digest);
