-- Rows that a stage or the loader refused, kept to be looked at and replayed.
--
-- Grain: one row per rejected row.

CREATE TABLE gristmill_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES gristmill_run (id) ON DELETE CASCADE,
    generation bigint REFERENCES gristmill_generation (id) ON DELETE SET NULL,
    report text NOT NULL,
    file text NOT NULL,
    line bigint,
    stage text NOT NULL,
    component_digest text NOT NULL,
    column_name text,
    code text NOT NULL,
    message text NOT NULL,
    raw bytea NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);

-- `quarantine list` and `status` ask by run; the foreign keys need both.
CREATE INDEX gristmill_quarantine_run_id_index ON gristmill_quarantine (run_id);
CREATE INDEX gristmill_quarantine_generation_index ON gristmill_quarantine (generation);

COMMENT ON COLUMN gristmill_quarantine.line IS 'Counted from 1, the header is line 1';
COMMENT ON COLUMN gristmill_quarantine.column_name IS 'Null when the row as a whole was refused';
COMMENT ON COLUMN gristmill_quarantine.code IS 'Short and stable, for programs: not-a-number, out-of-range';
COMMENT ON COLUMN gristmill_quarantine.raw
    IS 'The row''s bytes as they were in the file, without the end of line';
