-- The payloads that are kept, each under the SHA-256 of its bytes. `gristmill
-- replay` loads them again.
--
-- Grain: one row per manifest and archived tarball; a split payload has several.

CREATE TABLE gristmill_archive (
    manifest_id integer NOT NULL REFERENCES reporting_common_costusagereportmanifest (id),
    digest text NOT NULL,
    source_uuid uuid NOT NULL REFERENCES gristmill_source (source_uuid),
    payload text NOT NULL,
    files text[] NOT NULL,
    bytes bigint NOT NULL,
    directory text NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (manifest_id, digest)
);

COMMENT ON COLUMN gristmill_archive.digest IS 'SHA-256 of the tarball, in hexadecimal';
COMMENT ON COLUMN gristmill_archive.payload IS 'The file name under which it came';
COMMENT ON COLUMN gristmill_archive.files IS 'The files of the manifest that are in it';
COMMENT ON COLUMN gristmill_archive.directory
    IS 'Where it was put: <directory>/<first two digits of the digest>/<digest>.tar.gz';
