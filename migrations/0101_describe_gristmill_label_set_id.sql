-- Ids are made with a secret from now on. Label sets that are stored keep theirs:
-- staged rows refer to them.

COMMENT ON COLUMN gristmill_label_set.id IS
    'What `text_id` makes of its canonical JSON text and the secret of the schema; of sets from before there was one, without it';
