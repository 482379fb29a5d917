-- How much of a file an earlier upload had brought.

ALTER TABLE reporting_common_costusagereportstatus
    ADD COLUMN rows_taken_over bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN reporting_common_costusagereportstatus.rows_taken_over
    IS 'Rows of the file that were not loaded with it, since an earlier upload had brought them';
