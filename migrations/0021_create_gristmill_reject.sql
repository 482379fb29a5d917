-- The rows that a run at work has rejected so far. Nobody reads it but the run, which puts it
-- into gristmill_quarantine when it ends; it goes with the generation of one that
-- died.
--
-- Grain: one row per rejected row of a generation that is being loaded.

CREATE TABLE gristmill_reject (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation bigint NOT NULL REFERENCES gristmill_generation (id) ON DELETE CASCADE,
    batch bigint NOT NULL,
    report text NOT NULL,
    file text NOT NULL,
    line bigint,
    stage text NOT NULL,
    component_digest text,
    column_name text,
    code text NOT NULL,
    message text NOT NULL,
    raw bytea NOT NULL
);

-- It stays for minutes: the quarantine compresses what is kept.
ALTER TABLE gristmill_reject ALTER COLUMN raw SET STORAGE EXTERNAL;

-- A run asks for its own rows; the foreign key needs it too.
CREATE INDEX gristmill_reject_generation_index ON gristmill_reject (generation);

COMMENT ON COLUMN gristmill_reject.batch IS 'The batch of the file, counted from 1: workers write side by side';
COMMENT ON COLUMN gristmill_reject.component_digest IS 'Null when the load rejected the row, and no stage';
