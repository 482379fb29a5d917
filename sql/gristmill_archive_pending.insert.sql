-- Records a file of the archive that is about to be written.
--
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  id         uuid    names the file while it is written
-- $2  directory  text    the archive's folder
-- $3  run_id     bigint  the run that writes it, whose lock says whether it still does

INSERT INTO gristmill_archive_pending (id, directory, run_id)
VALUES ($1, $2, $3);
