-- Files of archives that no payload's record has: on their way in, recorded before they
-- are written, or on their way out. A run that dies leaves its own; `clean` removes
-- what a row names, and nothing that none does.
--
-- Grain: one row per file that is written or is to be removed.

CREATE TABLE gristmill_archive_pending (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    directory text NOT NULL,
    digest text,
    run_id bigint,
    begun_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gristmill_archive_pending.id IS 'While it is written, the file is <directory>/.<id>.unfinished';
COMMENT ON COLUMN gristmill_archive_pending.directory IS 'As that of gristmill_archive';
COMMENT ON COLUMN gristmill_archive_pending.digest
    IS 'SHA-256 of the tarball, under which it is or will be placed; null until all of it is written';
COMMENT ON COLUMN gristmill_archive_pending.run_id IS 'The run that writes it; null for what is on its way out';
