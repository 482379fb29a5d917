-- Says who the owner of this schema's archives is, and whether that is this database.
--
-- Reads  gristmill_archive_owner    one row
-- Reads  gristmill_archive          one row per manifest and archived tarball
-- Reads  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Reads  gristmill_archive_pending  one row per file that is written or is to be removed
-- Reads  gristmill_lake             one row per place in the lake

SELECT
    owner.identity,
    owner.system_identifier,
    owner.database_oid::bigint AS database_oid,
    owner.database_oid = marks.database_oid
    -- What the role may not ask now or could not ask then tells nothing.
    AND coalesce(owner.system_identifier = marks.system_identifier, true) AS is_here,
    EXISTS (SELECT FROM gristmill_archive)
    OR EXISTS (SELECT FROM gristmill_archive_orphan)
    OR EXISTS (SELECT FROM gristmill_archive_pending)
    OR EXISTS (SELECT FROM gristmill_lake) AS has_records
FROM gristmill_archive_owner AS owner
CROSS JOIN database_marks() AS marks;
