-- Lets nobody else place or remove the archived tarball of a digest, until the
-- transaction ends.
--
-- $1  digest  text  SHA-256 of the tarball

SELECT pg_advisory_xact_lock(hashtextextended('gristmill archive ' || current_schema() || ' ' || $1, 0));
