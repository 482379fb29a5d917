-- The rows that one run loaded of one manifest. Rows of staging carry the generation
-- that brought them; nobody reads them before it is complete. A split payload
-- has several generations of one manifest.
--
-- Grain: one row per run that loaded rows.

CREATE TABLE gristmill_generation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    manifest_id integer NOT NULL REFERENCES reporting_common_costusagereportmanifest (id),
    run_id bigint NOT NULL REFERENCES gristmill_run (id),
    source_uuid uuid NOT NULL REFERENCES gristmill_source (source_uuid),
    state text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'complete', 'forgotten')),
    fingerprint text,
    started_at timestamptz NOT NULL DEFAULT now()
);

-- The summary asks for the generations of a manifest.
CREATE INDEX gristmill_generation_manifest_id_index ON gristmill_generation (manifest_id);

-- The foreign key: a run that goes is looked for here.
CREATE INDEX gristmill_generation_run_id_index ON gristmill_generation (run_id);

-- Publishing asks for the unfinished generations of a source, which are few.
CREATE INDEX gristmill_generation_unfinished_index ON gristmill_generation (source_uuid) WHERE state <> 'complete';

COMMENT ON COLUMN gristmill_generation.state
    IS 'forgotten: it stays on record until its last row is gone from staging, since rows go a partition at a time';
COMMENT ON COLUMN gristmill_generation.fingerprint
    IS 'Digest of all that decides what becomes of a report; null when no other upload may take the generation over';
