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
        makers.usage_day,
        array_agg(DISTINCT makers.pipeline ORDER BY makers.pipeline) AS pipelines,
        array_agg(DISTINCT makers.run_id ORDER BY makers.run_id) AS run_ids
    FROM (
        -- Each run is looked up by its number: there are many, and few made these days.
        SELECT
            held.usage_day,
            maker.run_id,
            (SELECT run.pipeline FROM gristmill_run AS run WHERE run.id = maker.run_id) AS pipeline
        FROM held_days(days, source) AS held
        JOIN gristmill_generation AS generation
            ON generation.id = ANY (held.generations)
        CROSS JOIN LATERAL (
            SELECT
                CASE
                    -- The run at work has no manifest yet.
                    WHEN COALESCE(
                        (SELECT loading.manifest_id FROM gristmill_run AS loading WHERE loading.id = generation.run_id),
                        generation.manifest_id
                    ) = generation.manifest_id
                        THEN generation.run_id
                    -- Of an earlier upload: as if the one that reuses it had loaded it.
                    ELSE COALESCE(
                        (
                            SELECT max(own.run_id)
                            FROM gristmill_generation AS own
                            WHERE
                                own.manifest_id = generation.manifest_id
                                AND own.state = 'complete'
                                AND COALESCE(
                                    (SELECT run.manifest_id FROM gristmill_run AS run WHERE run.id = own.run_id),
                                    own.manifest_id
                                ) = own.manifest_id
                        ),
                        generation.run_id
                    )
                END AS run_id
            OFFSET 0
        ) AS maker
    ) AS makers
    GROUP BY makers.usage_day
) AS made
WHERE
    day.source_uuid = source
    AND day.usage_day = made.usage_day
$$;
