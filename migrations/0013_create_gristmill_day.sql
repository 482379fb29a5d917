-- The ledger: which manifest won a day. The summary of a day is made of that
-- manifest's rows, of all kinds of reports, and of no others.
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
    PRIMARY KEY (source_uuid, usage_day)
);

COMMENT ON COLUMN gristmill_day.hours IS 'Hours of the day that the manifest''s coverage report really has';
COMMENT ON COLUMN gristmill_day.rows
    IS 'Staged rows of the day, of all reports; more of them means that another part of the manifest arrived';
COMMENT ON COLUMN gristmill_day.processed_at
    IS 'When the summary was last made of these rows; null before the first time';
