-- The foreign key: a manifest that goes is looked for here.
CREATE INDEX gristmill_day_holder_index ON gristmill_day (manifest_id);
