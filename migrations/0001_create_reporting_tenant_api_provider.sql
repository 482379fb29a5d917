-- The providers that a tenant's rows belong to. Ours are sources: one OpenShift
-- cluster each.
--
-- Grain: one row per source.

CREATE TABLE reporting_tenant_api_provider (
    uuid uuid PRIMARY KEY,
    name text NOT NULL,
    type text NOT NULL,
    provider_id uuid
);

COMMENT ON COLUMN reporting_tenant_api_provider.name IS 'What the user calls it: the cluster alias';
COMMENT ON COLUMN reporting_tenant_api_provider.type IS 'The kind of provider; ours are OCP';
COMMENT ON COLUMN reporting_tenant_api_provider.provider_id
    IS 'The provider outside of the tenant; ours equals uuid';
