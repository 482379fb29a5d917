-- Places in the lake, where hours of a generation are until Trino has folded them. A row is
-- there before the first file and the table in Trino, and goes after the last of them: a
-- run that dies leaves a row for all that it leaves elsewhere. Only places that a row names
-- are ever removed, by the database that the archive's owner is (gristmill_archive_owner).
--
-- Grain: one row per place.

CREATE TABLE gristmill_lake (
    place text PRIMARY KEY,
    location text NOT NULL,
    source_uuid uuid NOT NULL,
    run_id bigint NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    keep_until timestamptz
);

-- A run asks for what earlier ones of its source left.
CREATE INDEX gristmill_lake_source_uuid_index ON gristmill_lake (source_uuid);

COMMENT ON COLUMN gristmill_lake.place IS 'Below the location; its name in Trino follows from it';
COMMENT ON COLUMN gristmill_lake.location IS 'The location of [lake]';
COMMENT ON COLUMN gristmill_lake.run_id IS 'Refers to gristmill_run, but may outlive it';
COMMENT ON COLUMN gristmill_lake.keep_until IS 'When it goes; null while a run needs it, or died';
