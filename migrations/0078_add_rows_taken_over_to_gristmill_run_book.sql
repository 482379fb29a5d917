-- Rows that are taken over go no further than the parser. The books balance with them:
-- rows_in + rows_repeated = rows_out + rows_taken_over + rows_filtered + rows_rejected.

ALTER TABLE gristmill_run_book
    ADD COLUMN rows_taken_over bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT gristmill_run_book_check,
    ADD CHECK (rows_in + rows_repeated = rows_out + rows_taken_over + rows_filtered + rows_rejected);

COMMENT ON COLUMN gristmill_run_book.rows_taken_over
    IS 'Not handed on, since an earlier upload had brought them; of the parser alone';
