-- A generation that is forgotten stays on record until its last row is gone from
-- staging: rows go a partition at a time, and whoever goes on knows of them by it.

ALTER TABLE gristmill_generation
    DROP CONSTRAINT gristmill_generation_state_check,
    ADD CONSTRAINT gristmill_generation_state_check CHECK (state IN ('loading', 'complete', 'forgotten'));
