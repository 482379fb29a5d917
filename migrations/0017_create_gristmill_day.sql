-- The ledger: which days are won, and by which manifest. gristmill_day_manifest has all
-- manifests that a day is made of.
--
-- Grain: one row per source and UTC day.

CREATE TABLE gristmill_day (
    source_uuid uuid NOT NULL REFERENCES gristmill_source (source_uuid),
    usage_day date NOT NULL,
    manifest_id integer NOT NULL REFERENCES reporting_common_costusagereportmanifest (id),
    hours integer NOT NULL,
    rows bigint NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    engines text[],
    fold_seconds double precision,
    pipelines text[] NOT NULL DEFAULT '{}',
    run_ids bigint[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (source_uuid, usage_day)
);

-- The foreign key: a manifest that goes is looked for here.
CREATE INDEX gristmill_day_holder_index ON gristmill_day (manifest_id);

COMMENT ON COLUMN gristmill_day.manifest_id IS 'The manifest that holds the day; of additive ones the latest';
COMMENT ON COLUMN gristmill_day.hours
    IS 'Hours of the day that the coverage reports of its manifests really have, each counted once';
COMMENT ON COLUMN gristmill_day.rows
    IS 'Staged rows of the day, of all reports; more of them means that another part of the manifest arrived';
COMMENT ON COLUMN gristmill_day.processed_at
    IS 'When the summary was last made of these rows; null before the first time';
COMMENT ON COLUMN gristmill_day.engines
    IS 'What folded the hours of which the summary was last made: postgres, embedded, trino, or several of them';
COMMENT ON COLUMN gristmill_day.fold_seconds
    IS 'Time of the folds before that, each with all of its days; null when Postgres folded alone, which is part of summarizing';
COMMENT ON COLUMN gristmill_day.pipelines
    IS 'The pipelines that loaded the rows of which the summary was last made; none where that is not known';
COMMENT ON COLUMN gristmill_day.run_ids
    IS 'The runs in which they did; they stay named when their records are past retention';
