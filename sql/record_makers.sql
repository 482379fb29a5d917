-- Records which pipelines made the rows of some days, and in which runs: those whose
-- staged rows the summary is made of.
--
-- Reads   held_days             one row per day that can be summarised
-- Reads   gristmill_generation  one row per generation
-- Reads   gristmill_run         one row per run
-- Writes  gristmill_day         one row per source and UTC day
--
-- days    date[]  the UTC days
-- source  uuid    the source

CREATE OR REPLACE FUNCTION record_makers(days date[], source uuid)
RETURNS void
LANGUAGE sql
AS $$
UPDATE gristmill_day AS day
SET
    pipelines = made.pipelines,
    run_ids = made.run_ids
FROM (
    SELECT
        held.usage_day,
        array_agg(DISTINCT run.pipeline ORDER BY run.pipeline) AS pipelines,
        array_agg(DISTINCT run.id ORDER BY run.id) AS run_ids
    FROM held_days(days, source) AS held
    JOIN gristmill_generation AS generation
        ON generation.id = ANY (held.generations)
    JOIN gristmill_run AS run
        ON run.id = generation.run_id
    GROUP BY held.usage_day
) AS made
WHERE
    day.source_uuid = source
    AND day.usage_day = made.usage_day
$$;
