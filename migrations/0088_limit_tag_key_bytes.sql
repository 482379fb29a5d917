-- The place key of the label summaries has a namespace, a node and a key. An index entry
-- has room for 2,704 bytes, of which two names of 253 characters take up to 2,024.
--
-- Keys that are there already stay; none of them can be enabled any more.

ALTER TABLE reporting_enabledtagkeys
    ADD CONSTRAINT reporting_enabledtagkeys_key_bytes_check CHECK (octet_length(key) <= 640) NOT VALID;
