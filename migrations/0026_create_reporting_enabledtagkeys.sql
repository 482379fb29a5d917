-- The label keys that were ever seen, and which of them may become tags.
--
-- Grain: one row per key and kind of provider.

CREATE TABLE reporting_enabledtagkeys (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    enabled boolean NOT NULL DEFAULT false,
    provider_type text NOT NULL,
    UNIQUE (key, provider_type),
    -- Consumers hold no longer ones. Discovery passes them over.
    CONSTRAINT reporting_enabledtagkeys_key_check CHECK (length(key) BETWEEN 1 AND 512),
    -- The place key of the label summaries has a namespace, a node and a key. An index
    -- entry has room for 2,704 bytes, of which two names of 253 characters take up to 2,024.
    CONSTRAINT reporting_enabledtagkeys_key_bytes_check CHECK (octet_length(key) <= 640)
);

COMMENT ON COLUMN reporting_enabledtagkeys.enabled
    IS 'Labels with other keys are dropped before they reach staging';
COMMENT ON COLUMN reporting_enabledtagkeys.provider_type IS 'Ours are OCP';
