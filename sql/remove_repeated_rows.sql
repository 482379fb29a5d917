-- Removes the staged rows that a later additive upload of the source has as well:
-- an hour that was collected twice counts once, as it was collected last. Returns
-- how many rows went.
--
-- Reads   reporting_common_costusagereportmanifest   one row per manifest
-- Reads   shared_hours                               one row per hour and pair of generations
-- Writes  reporting_ocpusagelineitem_pod_staging      one row per generation, hour, namespace and pod
-- Writes  reporting_ocpusagelineitem_storage_staging  one row per generation, hour and volume
--
-- manifest_id  integer  the manifest; with a daily one nothing goes
--
-- The other reports are not added up: of labels, machines and cards the summary
-- takes the last or the largest, and once.

CREATE OR REPLACE FUNCTION remove_repeated_rows(manifest_id integer)
RETURNS bigint
LANGUAGE plpgsql
-- Nobody has counted the rows that were just loaded, and the planner guesses a
-- few: it would look up each by itself.
SET enable_nestloop = off
-- Which partitions are read, and locked, depends on the hours.
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    manifest ALIAS FOR manifest_id;
    shared record;
    pods_deleted bigint;
    volumes_deleted bigint;
BEGIN
    -- Most are daily, and looking for their hours takes longer than to know that.
    IF NOT (
        SELECT asked.is_additive
        FROM reporting_common_costusagereportmanifest AS asked
        WHERE asked.id = manifest
    ) THEN
        RETURN 0;
    END IF;

    SELECT
        min(hour.interval_start) AS first_hour,
        max(hour.interval_start) AS last_hour,
        array_agg(DISTINCT hour.generation) AS generations,
        array_agg(DISTINCT hour.later_generation) AS later_generations
    INTO shared
    FROM shared_hours(manifest) AS hour;

    IF shared.first_hour IS NULL THEN
        RETURN 0;
    END IF;

    DELETE FROM reporting_ocpusagelineitem_pod_staging AS repeated
    USING
        shared_hours(manifest) AS hour,
        reporting_ocpusagelineitem_pod_staging AS later
    WHERE
        repeated.generation = ANY (shared.generations)
        AND repeated.interval_start BETWEEN shared.first_hour AND shared.last_hour
        AND later.generation = ANY (shared.later_generations)
        AND later.interval_start BETWEEN shared.first_hour AND shared.last_hour
        AND repeated.generation = hour.generation
        AND repeated.interval_start = hour.interval_start
        AND later.generation = hour.later_generation
        AND later.interval_start = hour.interval_start
        AND later.namespace_name_id = repeated.namespace_name_id
        AND later.pod = repeated.pod;
    GET DIAGNOSTICS pods_deleted = ROW_COUNT;

    DELETE FROM reporting_ocpusagelineitem_storage_staging AS repeated
    USING
        shared_hours(manifest) AS hour,
        reporting_ocpusagelineitem_storage_staging AS later
    WHERE
        repeated.generation = ANY (shared.generations)
        AND repeated.interval_start BETWEEN shared.first_hour AND shared.last_hour
        AND later.generation = ANY (shared.later_generations)
        AND later.interval_start BETWEEN shared.first_hour AND shared.last_hour
        AND repeated.generation = hour.generation
        AND repeated.interval_start = hour.interval_start
        AND later.generation = hour.later_generation
        AND later.interval_start = hour.interval_start
        AND later.namespace = repeated.namespace
        AND later.persistentvolumeclaim = repeated.persistentvolumeclaim
        AND later.persistentvolume = repeated.persistentvolume;
    GET DIAGNOSTICS volumes_deleted = ROW_COUNT;

    RETURN pods_deleted + volumes_deleted;
END
$$;
