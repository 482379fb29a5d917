-- By which plan a generation was loaded, so that a later upload that repeats its hours
-- can take it over instead of loading them again.

ALTER TABLE gristmill_generation
    ADD COLUMN fingerprint text;

COMMENT ON COLUMN gristmill_generation.fingerprint
    IS 'Digest of all that decides what becomes of a report; null when no other upload may take the generation over';
