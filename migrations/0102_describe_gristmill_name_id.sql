-- Ids are made with a secret from now on. Names that are stored keep theirs: staged
-- rows refer to them.

COMMENT ON COLUMN gristmill_name.id IS
    'What `text_id` makes of the name and the secret of the schema; of names from before there was one, without it';
