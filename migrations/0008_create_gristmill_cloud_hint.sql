-- Which cloud a cluster seems to run on. It is a hint for people: nothing is
-- counted differently for it.
--
-- Grain: one row per source that shows signs of a cloud, or is declared to run on
-- one.

CREATE TABLE gristmill_cloud_hint (
    source_uuid uuid PRIMARY KEY REFERENCES gristmill_source (source_uuid),
    provider text NOT NULL,
    evidence jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN gristmill_cloud_hint.provider IS 'AWS, Azure or GCP; another one only if it is declared';
COMMENT ON COLUMN gristmill_cloud_hint.evidence IS 'An array of the signs; that it is declared is one';
COMMENT ON COLUMN gristmill_cloud_hint.found_at IS 'When it first looked like this provider';
