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
    component_digest text,
    column_name text,
    code text NOT NULL,
    message text NOT NULL,
    raw bytea NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'discarded')),
    changed_at timestamptz,
    resolved_by_run bigint REFERENCES gristmill_run (id) ON DELETE SET NULL,
    reason text,
    CHECK (state <> 'discarded' OR reason IS NOT NULL)
);

-- `quarantine list` and `status` ask by run; the foreign keys need both.
CREATE INDEX gristmill_quarantine_run_id_index ON gristmill_quarantine (run_id);
CREATE INDEX gristmill_quarantine_generation_index ON gristmill_quarantine (generation);

-- Retention asks for old rows.
CREATE INDEX gristmill_quarantine_quarantined_at_index ON gristmill_quarantine (quarantined_at);

-- The foreign key: a run that goes is looked for here. Few rows are resolved.
CREATE INDEX gristmill_quarantine_resolved_by_run_index ON gristmill_quarantine (resolved_by_run)
    WHERE resolved_by_run IS NOT NULL;

COMMENT ON COLUMN gristmill_quarantine.line IS 'Counted from 1, the header is line 1';
COMMENT ON COLUMN gristmill_quarantine.component_digest IS 'Null when the load rejected the row, and no stage';
COMMENT ON COLUMN gristmill_quarantine.column_name IS 'Null when the row as a whole was refused';
COMMENT ON COLUMN gristmill_quarantine.code IS 'Short and stable, for programs: not-a-number, out-of-range';
COMMENT ON COLUMN gristmill_quarantine.raw
    IS 'The row''s bytes as they were in the file, without the end of line';
COMMENT ON COLUMN gristmill_quarantine.state
    IS 'open: needs attention; resolved: came through in a later run; discarded: kept, and counts no more';
COMMENT ON COLUMN gristmill_quarantine.changed_at IS 'When it was resolved or discarded';
COMMENT ON COLUMN gristmill_quarantine.resolved_by_run IS 'The run in which the row came through';
COMMENT ON COLUMN gristmill_quarantine.reason IS 'Why it was discarded, as the person said';
