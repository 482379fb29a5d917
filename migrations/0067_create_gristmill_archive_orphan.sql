-- The archived payloads of sources that were removed. Running them again brings a source
-- back; `clean` removes them when their months are past retention.
--
-- Grain: one row per archived tarball.

CREATE TABLE gristmill_archive_orphan (
    directory text NOT NULL,
    digest text NOT NULL,
    cluster_id text NOT NULL,
    payload text NOT NULL,
    bytes bigint NOT NULL,
    billing_period_start_datetime timestamptz NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (directory, digest)
);

COMMENT ON COLUMN gristmill_archive_orphan.directory IS 'As that of gristmill_archive';
COMMENT ON COLUMN gristmill_archive_orphan.digest IS 'SHA-256 of the tarball, in hexadecimal';
COMMENT ON COLUMN gristmill_archive_orphan.payload IS 'The file name under which it came';
COMMENT ON COLUMN gristmill_archive_orphan.billing_period_start_datetime
    IS 'The month in which its upload begins, as its manifest said';
