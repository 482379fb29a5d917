-- Who an archive of this schema belongs to: the file `owner.json` of the archive's
-- folder has the same identity. The other columns say in which database it was given:
-- a copy brings the row along, and is no owner.
--
-- Grain: one row.

CREATE TABLE gristmill_archive_owner (
    is_owner boolean PRIMARY KEY DEFAULT true CHECK (is_owner),
    identity uuid NOT NULL,
    system_identifier bigint,
    database_oid oid NOT NULL
);

COMMENT ON COLUMN gristmill_archive_owner.system_identifier
    IS 'Of the server, as pg_control_system says; null where our role may not ask';
COMMENT ON COLUMN gristmill_archive_owner.database_oid IS 'Of the database, on that server';
