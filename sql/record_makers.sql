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
    JOIN gristmill_run AS loading
        ON loading.id = generation.run_id
    JOIN gristmill_run AS run
        ON run.id = CASE
            -- The run at work has no manifest yet.
            WHEN COALESCE(loading.manifest_id, generation.manifest_id) = generation.manifest_id
                THEN loading.id
            -- Of an earlier upload: as if the one that reuses it had loaded it.
            ELSE COALESCE(
                (
                    SELECT max(reusing.id)
                    FROM gristmill_generation AS own
                    JOIN gristmill_run AS reusing
                        ON reusing.id = own.run_id
                    WHERE
                        own.manifest_id = generation.manifest_id
                        AND own.state = 'complete'
                        AND COALESCE(reusing.manifest_id, own.manifest_id) = own.manifest_id
                ),
                loading.id
            )
        END
    GROUP BY held.usage_day
) AS made
WHERE
    day.source_uuid = source
    AND day.usage_day = made.usage_day
$$;
