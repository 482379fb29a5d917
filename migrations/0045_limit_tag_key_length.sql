-- Refuses keys that consumers cannot hold. Discovery passes them over.

ALTER TABLE reporting_enabledtagkeys
    ADD CONSTRAINT reporting_enabledtagkeys_key_check CHECK (length(key) BETWEEN 1 AND 512);
