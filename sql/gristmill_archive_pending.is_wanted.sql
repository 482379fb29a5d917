-- Says whether the archived tarball of a digest is wanted by anybody else than the row
-- of a file that is to be removed.
--
-- Reads  gristmill_archive          one row per manifest and archived tarball
-- Reads  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Reads  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  id         uuid  the row
-- $2  directory  text  the archive's folder
-- $3  digest     text  SHA-256 of the tarball

SELECT
    EXISTS (
        SELECT
        FROM gristmill_archive AS archived
        WHERE
            archived.directory = $2
            AND archived.digest = $3
    )
    OR EXISTS (
        SELECT
        FROM gristmill_archive_orphan AS orphan
        WHERE
            orphan.directory = $2
            AND orphan.digest = $3
    )
    OR EXISTS (
        -- Of two rows of one file the last one removes it.
        SELECT
        FROM gristmill_archive_pending AS pending
        WHERE
            pending.directory = $2
            AND pending.digest = $3
            AND pending.id <> $1
    );
