-- The clusters that we accept payloads from. Their alias is repeated where
-- consumers look for it: providers, clusters, report periods.
--
-- Grain: one row per source.

CREATE TABLE gristmill_source (
    source_uuid uuid PRIMARY KEY REFERENCES reporting_tenant_api_provider (uuid),
    cluster_id text NOT NULL UNIQUE,
    cluster_alias text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    engine text CHECK (engine IN ('postgres', 'embedded', 'trino', 'auto')),
    is_being_renamed boolean NOT NULL DEFAULT false
);

COMMENT ON COLUMN gristmill_source.cluster_id IS 'As in the manifest of its payloads';
COMMENT ON COLUMN gristmill_source.engine IS 'Goes before the engine of the pipeline; null for that';
COMMENT ON COLUMN gristmill_source.is_being_renamed
    IS 'Rows of some days, or values of tags, may still have an earlier alias';
