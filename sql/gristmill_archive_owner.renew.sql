-- Gives a copy of a database an identity of its own, unless it has one by now.
--
-- Reads   gristmill_archive          one row per manifest and archived tarball
-- Reads   gristmill_archive_orphan   one row per archived tarball of a removed source
-- Reads   gristmill_archive_pending  one row per file that is written or is to be removed
-- Reads   gristmill_lake             one row per place in the lake
-- Writes  gristmill_archive_owner    one row
--
-- $1  adopts  boolean  also where there are records of an archive, which is the original's

INSERT INTO gristmill_archive_owner AS owner (identity, system_identifier, database_oid)
SELECT
    gen_random_uuid(),
    marks.system_identifier,
    marks.database_oid
FROM database_marks() AS marks
WHERE
    $1
    OR NOT EXISTS (SELECT FROM gristmill_archive)
    AND NOT EXISTS (SELECT FROM gristmill_archive_orphan)
    AND NOT EXISTS (SELECT FROM gristmill_archive_pending)
    AND NOT EXISTS (SELECT FROM gristmill_lake)
ON CONFLICT (is_owner) DO UPDATE
    SET
        identity = excluded.identity,
        system_identifier = excluded.system_identifier,
        database_oid = excluded.database_oid
    WHERE
        owner.database_oid <> excluded.database_oid
        OR owner.system_identifier <> excluded.system_identifier;
