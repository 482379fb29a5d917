-- Rows of a run that were not loaded because an earlier upload of the day had brought
-- them: the upload has its generations now.

ALTER TABLE gristmill_run
    ADD COLUMN rows_taken_over bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN gristmill_run.rows_taken_over IS 'Rows of hours that an earlier upload had brought, as they were read';
