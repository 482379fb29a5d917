-- The foreign key: a run that goes is looked for here.
CREATE INDEX gristmill_generation_run_id_index ON gristmill_generation (run_id);
