-- What the runs of a manifest quarantined is asked for with every payload, and a
-- manifest that goes is taken out of its runs.
CREATE INDEX gristmill_run_manifest_id_index ON gristmill_run (manifest_id);

-- Retention asks for old runs.
CREATE INDEX gristmill_run_started_at_index ON gristmill_run (started_at);
