-- The executions of pipelines, also of those that failed or found nothing new.
--
-- Grain: one row per run of one payload.

CREATE TABLE gristmill_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    payload text NOT NULL,
    manifest_id integer REFERENCES reporting_common_costusagereportmanifest (id) ON DELETE SET NULL,
    state text NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'loaded', 'published', 'unchanged', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_loaded bigint NOT NULL DEFAULT 0,
    rows_reused bigint NOT NULL DEFAULT 0,
    rows_filtered bigint NOT NULL DEFAULT 0,
    rows_rejected bigint NOT NULL DEFAULT 0,
    error text,
    discarded_at timestamptz,
    reason text,
    CONSTRAINT gristmill_run_reason_check CHECK ((discarded_at IS NULL) = (reason IS NULL))
);

-- Each payload asks what the runs of its manifest quarantined, and a manifest that goes
-- is taken out of its runs.
CREATE INDEX gristmill_run_manifest_id_index ON gristmill_run (manifest_id);

-- Retention asks for old runs.
CREATE INDEX gristmill_run_started_at_index ON gristmill_run (started_at);

-- Publishing asks for the runs at work, which are few.
CREATE INDEX gristmill_run_running_index ON gristmill_run (id) WHERE state = 'running';

COMMENT ON COLUMN gristmill_run.state
    IS 'loaded: waits for the other parts of a split payload; unchanged: everything in it was known';
COMMENT ON COLUMN gristmill_run.rows_reused IS 'Rows of hours that an earlier upload had brought, as they were read';
COMMENT ON COLUMN gristmill_run.error IS 'Why it failed, as the user was told';
COMMENT ON COLUMN gristmill_run.discarded_at IS 'When a person discarded the failure: status names it no more';
COMMENT ON COLUMN gristmill_run.reason IS 'Why it was discarded, as the person said';
