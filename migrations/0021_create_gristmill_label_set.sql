-- Label sets, stored once and referred to from staging. Thousands of hourly
-- rows share one.
--
-- Grain: one row per distinct set.

CREATE TABLE gristmill_label_set (
    id bigint PRIMARY KEY,
    labels jsonb NOT NULL
);

COMMENT ON COLUMN gristmill_label_set.id IS 'The first eight bytes of the SHA-256 of its canonical JSON text';
COMMENT ON COLUMN gristmill_label_set.labels IS 'One object of text values, enabled keys only';
