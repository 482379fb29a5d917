-- The pipelines and runs of days that were made before these were kept, where the staged
-- rows of the day still say so.

UPDATE gristmill_day AS day
SET
    pipelines = made.pipelines,
    run_ids = made.run_ids
FROM (
    SELECT
        holder.source_uuid,
        holder.usage_day,
        array_agg(DISTINCT run.pipeline ORDER BY run.pipeline) AS pipelines,
        array_agg(DISTINCT run.id ORDER BY run.id) AS run_ids
    FROM gristmill_day_manifest AS holder
    JOIN gristmill_generation AS generation
        ON generation.manifest_id = holder.manifest_id
        AND generation.state = 'complete'
        AND EXISTS (
            SELECT
            FROM gristmill_coverage AS coverage
            WHERE
                coverage.generation = generation.id
                AND coverage.interval_start >= holder.usage_day::timestamp AT TIME ZONE 'UTC'
                AND coverage.interval_start < (holder.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
        )
    JOIN gristmill_run AS loading
        ON loading.id = generation.run_id
    JOIN gristmill_run AS run
        ON run.id = CASE
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
    GROUP BY
        holder.source_uuid,
        holder.usage_day
) AS made
WHERE
    day.source_uuid = made.source_uuid
    AND day.usage_day = made.usage_day;
