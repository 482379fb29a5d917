-- Which pipelines made a day, and in which runs: a replay of some days under another
-- pipeline leaves the others as they were.

ALTER TABLE gristmill_day
    ADD COLUMN pipelines text[] NOT NULL DEFAULT '{}',
    ADD COLUMN run_ids bigint[] NOT NULL DEFAULT '{}';

COMMENT ON COLUMN gristmill_day.pipelines
    IS 'The pipelines that loaded the rows of which the summary was last made; none where that is not known';
COMMENT ON COLUMN gristmill_day.run_ids
    IS 'The runs in which they did; they stay named when their records are past retention';
