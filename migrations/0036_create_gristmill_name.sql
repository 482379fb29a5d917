-- Names, stored once and referred to from staging. Thousands of hourly rows share
-- that of a node, a namespace or a machine.
--
-- Grain: one row per distinct name, whatever it names.

CREATE TABLE gristmill_name (
    id bigint PRIMARY KEY,
    name varchar(253) NOT NULL
);

COMMENT ON COLUMN gristmill_name.id IS 'What `text_id` makes of the name and the secret of the schema';
COMMENT ON COLUMN gristmill_name.name IS 'Blank for what has none';
