-- Which engines folded the hours that a day is made of, and how long that took before it was
-- summarised.
--
-- Reads  gristmill_fold                              one row per run, generation and staging table
-- Reads  reporting_ocpusagelineitem_pod_staging      one row per generation, hour, namespace and pod
-- Reads  reporting_ocpusagelineitem_storage_staging  one row per generation, hour and volume
--
-- usage_day    date      a UTC day
-- generations  bigint[]  the generations that won it
--
-- Postgres folds what is stored as hours. A fold of several days counts for each of them
-- with all of its time.

CREATE OR REPLACE FUNCTION engines_of_day(
    usage_day date,
    generations bigint[],
    OUT engines text[],
    OUT fold_seconds double precision
)
LANGUAGE plpgsql
STABLE
-- As in collect_daily_pods.
SET enable_seqscan = off
AS $$
DECLARE
    day_start CONSTANT timestamptz := usage_day::timestamp AT TIME ZONE 'UTC';
    day_end CONSTANT timestamptz := (usage_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    SELECT
        array_agg(DISTINCT fold.engine ORDER BY fold.engine),
        sum(fold.seconds)
    INTO
        engines,
        fold_seconds
    FROM gristmill_fold AS fold
    WHERE
        fold.generation = ANY (generations)
        AND fold.days @> ARRAY[usage_day];

    engines := COALESCE(engines, '{}');

    IF EXISTS (
        SELECT
        FROM reporting_ocpusagelineitem_pod_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
    ) OR EXISTS (
        SELECT
        FROM reporting_ocpusagelineitem_storage_staging AS staged
        WHERE
            staged.generation = ANY (generations)
            AND staged.interval_start >= day_start
            AND staged.interval_start < day_end
    ) THEN
        engines := 'postgres'::text || engines;
    END IF;
END
$$;
