-- Where clusters run, as somebody declared it. What is declared is never guessed.
--
-- Grain: one row per source that runs on a cloud.

CREATE TABLE reporting_ocp_infrastructure_map (
    source_uuid uuid PRIMARY KEY REFERENCES gristmill_source (source_uuid),
    infrastructure_type text NOT NULL,
    infrastructure_provider_id uuid,
    -- A cluster does not run on a cluster.
    CHECK (infrastructure_type <> 'OCP')
);

COMMENT ON COLUMN reporting_ocp_infrastructure_map.infrastructure_type IS 'AWS, Azure, GCP or another cloud';
COMMENT ON COLUMN reporting_ocp_infrastructure_map.infrastructure_provider_id
    IS 'The source of the cloud''s bills, where there is one';
