-- Retention asks for old rows.
CREATE INDEX gristmill_quarantine_quarantined_at_index ON gristmill_quarantine (quarantined_at);

-- The foreign key: a run that goes is looked for here. Few rows are resolved.
CREATE INDEX gristmill_quarantine_resolved_by_run_index ON gristmill_quarantine (resolved_by_run)
    WHERE resolved_by_run IS NOT NULL;
