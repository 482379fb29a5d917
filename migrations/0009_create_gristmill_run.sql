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
    rows_filtered bigint NOT NULL DEFAULT 0,
    rows_rejected bigint NOT NULL DEFAULT 0,
    error text
);

COMMENT ON COLUMN gristmill_run.state
    IS 'loaded: waits for the other parts of a split payload; unchanged: everything in it was known';
COMMENT ON COLUMN gristmill_run.error IS 'Why it failed, as the user was told';
