-- What became of a row in quarantine: open rows need a person, resolved ones came
-- through in a later run, discarded ones are kept and count no more.

ALTER TABLE gristmill_quarantine
    ADD COLUMN state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'discarded')),
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN resolved_by_run bigint REFERENCES gristmill_run (id) ON DELETE SET NULL,
    ADD COLUMN reason text,
    ADD CHECK (state <> 'discarded' OR reason IS NOT NULL);

COMMENT ON COLUMN gristmill_quarantine.changed_at IS 'When it was resolved or discarded';
COMMENT ON COLUMN gristmill_quarantine.resolved_by_run IS 'The run in which the row came through';
COMMENT ON COLUMN gristmill_quarantine.reason IS 'Why it was discarded, as the person said';
