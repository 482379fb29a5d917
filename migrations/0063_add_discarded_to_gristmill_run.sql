-- Failed runs that a person has looked at: `status` names them no more.

ALTER TABLE gristmill_run
    ADD COLUMN discarded_at timestamptz,
    ADD COLUMN reason text,
    ADD CONSTRAINT gristmill_run_reason_check CHECK ((discarded_at IS NULL) = (reason IS NULL));

COMMENT ON COLUMN gristmill_run.discarded_at IS 'When a person discarded the failure';
COMMENT ON COLUMN gristmill_run.reason IS 'Why it was discarded, as the person said';
