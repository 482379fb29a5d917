-- The label keys that were ever seen, and which of them may become tags.
--
-- Grain: one row per key and kind of provider.

CREATE TABLE reporting_enabledtagkeys (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    enabled boolean NOT NULL DEFAULT false,
    provider_type text NOT NULL,
    UNIQUE (key, provider_type)
);

COMMENT ON COLUMN reporting_enabledtagkeys.enabled
    IS 'Labels with other keys are dropped before they reach staging';
COMMENT ON COLUMN reporting_enabledtagkeys.provider_type IS 'Ours are OCP';
