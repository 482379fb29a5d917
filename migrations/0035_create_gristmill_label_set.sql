-- Label sets, stored once and referred to from staging. Thousands of hourly
-- rows share one.
--
-- Grain: one row per distinct set.

CREATE TABLE gristmill_label_set (
    id bigint PRIMARY KEY,
    labels jsonb NOT NULL
);

-- A summary asks for the label sets of machines, which are few.
CREATE INDEX gristmill_label_set_machine_index ON gristmill_label_set (id) WHERE labels ? 'vm_kubevirt_io_name';

COMMENT ON COLUMN gristmill_label_set.id
    IS 'What `text_id` makes of its canonical JSON text and the secret of the schema';
COMMENT ON COLUMN gristmill_label_set.labels IS 'One object of text values, enabled keys only';
