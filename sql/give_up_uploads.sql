-- Takes back what uploads that wait for files have loaded. Their files may be loaded once
-- more, all of them: none is complete without the others. The staged rows go afterwards,
-- by remove_staged_rows.
--
-- Reads   waiting_uploads                           one row per upload that waits
-- Writes  gristmill_generation                      one row per generation
-- Writes  reporting_common_costusagereportstatus    one row per manifest and file
-- Writes  reporting_common_costusagereportmanifest  one row per source and upload
--
-- source     uuid       the source, which nobody else loads meanwhile
-- manifests  integer[]  the uploads; what does not wait stays as it is
--
-- Returns the generations that are forgotten by that.

CREATE OR REPLACE FUNCTION give_up_uploads(source uuid, manifests integer[])
RETURNS SETOF bigint
LANGUAGE plpgsql
AS $$
DECLARE
    waiting record;
BEGIN
    FOR waiting IN
        SELECT
            upload.manifest_id,
            upload.generations,
            later.assembly_id AS superseded_by
        FROM waiting_uploads(source) AS upload
        LEFT JOIN reporting_common_costusagereportmanifest AS later
            ON later.id = upload.superseded_by
        WHERE upload.manifest_id = ANY (manifests)
    LOOP
        UPDATE gristmill_generation AS generation
        SET state = 'forgotten'
        WHERE generation.id = ANY (waiting.generations);

        UPDATE reporting_common_costusagereportstatus AS file
        SET
            status = 3,
            failed_status = NULL,
            generation = NULL,
            started_datetime = NULL,
            completed_datetime = NULL,
            rows_loaded = 0,
            rows_reused = 0,
            rows_rejected = 0,
            unknown_columns = NULL
        WHERE file.manifest_id = waiting.manifest_id;

        UPDATE reporting_common_costusagereportmanifest AS manifest
        SET
            abandoned_datetime = now(),
            superseded_by = waiting.superseded_by
        WHERE manifest.id = waiting.manifest_id;

        RETURN QUERY
        SELECT unnest(waiting.generations);
    END LOOP;
END
$$;
