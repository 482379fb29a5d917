-- Forgets the generations of a source whose staged rows no summary will need again.
-- The rows themselves go afterwards, by remove_staged_rows.
--
-- Reads   gristmill_day_manifest                    one row per source, day and manifest
-- Reads   reporting_common_costusagereportmanifest  one row per source and upload
-- Reads   gristmill_coverage                        one row per generation, report kind and hour
-- Writes  gristmill_generation                      one row per generation
-- Writes  as give_up_uploads does
--
-- source_uuid  uuid         the source
-- before       timestamptz  the end of what goes: what was loaded since stays
-- dry_run      boolean      only say what would go, and lock nothing
--
-- Returns one row per generation, with its rows and the reason: `superseded` (other
-- manifests hold all of its days), `old` (its days are over, and before the
-- previous month: nobody makes them anew) or `interrupted` (its run died; nobody has
-- counted its rows).
--
-- A manifest goes as a whole or not at all: a day made of some of its parts would
-- be wrong, and a day made of none stays as it is. An additive manifest is never
-- superseded by additive ones: with others that are yet to come it may win its days. A
-- manifest that waits for files is left alone until it is superseded; its files may be
-- loaded once more then. A source that is being loaded is left alone.

CREATE OR REPLACE FUNCTION forget_old_generations(source_uuid uuid, before timestamptz, dry_run boolean)
RETURNS TABLE (generation bigint, manifest_id integer, reason text, rows bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    source CONSTANT uuid := forget_old_generations.source_uuid;
    source_key CONSTANT bigint := source_lock_key(source);
    previous_month CONSTANT date := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month';
    old_generation record;
BEGIN
    -- Whoever loads holds this lock: gristmill_source.lock.sql.
    IF dry_run THEN
        PERFORM
        FROM pg_locks AS held
        WHERE
            held.locktype = 'advisory'
            AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND held.granted
            AND held.objsubid = 1
            AND (held.classid::bigint << 32 | held.objid::bigint) = source_key;
        IF FOUND THEN
            RETURN;
        END IF;
    ELSIF NOT pg_try_advisory_xact_lock(source_key) THEN
        RETURN;
    END IF;

    FOR old_generation IN
        WITH waiting AS MATERIALIZED (
            SELECT upload.*
            FROM waiting_uploads(source) AS upload
        ),
        superseded_parts AS (
            -- All of an upload goes at once.
            SELECT
                part.id,
                upload.manifest_id,
                'superseded' AS reason
            FROM waiting AS upload
            JOIN gristmill_generation AS part
                ON part.id = ANY (upload.generations)
            WHERE
                upload.superseded_by IS NOT NULL
                AND NOT EXISTS (
                    SELECT
                    FROM gristmill_generation AS young
                    WHERE
                        young.id = ANY (upload.generations)
                        AND (young.state <> 'complete' OR young.started_at >= before)
                )
        ),
        manifests AS (
            SELECT
                manifest.id,
                CASE
                    WHEN manifest.is_additive
                        THEN (
                            SELECT max(coverage.interval_start AT TIME ZONE 'UTC')::date
                            FROM gristmill_generation AS part
                            JOIN gristmill_coverage AS coverage
                                ON coverage.generation = part.id
                            WHERE part.manifest_id = manifest.id
                        )
                    ELSE max(holder.usage_day)
                END AS last_day
            FROM reporting_common_costusagereportmanifest AS manifest
            LEFT JOIN gristmill_day_manifest AS holder
                ON holder.source_uuid = manifest.provider_id
                AND holder.manifest_id = manifest.id
            WHERE
                manifest.provider_id = source
                AND manifest.completed_datetime IS NOT NULL
                AND manifest.id NOT IN (SELECT upload.manifest_id FROM waiting AS upload)
                AND NOT EXISTS (
                    SELECT
                    FROM gristmill_generation AS part
                    WHERE
                        part.manifest_id = manifest.id
                        AND (part.state <> 'complete' OR part.started_at >= before)
                )
            GROUP BY manifest.id
        ),
        old_manifests AS (
            SELECT
                manifest.id,
                CASE WHEN manifest.last_day IS NULL THEN 'superseded' ELSE 'old' END AS reason
            FROM manifests AS manifest
            WHERE
                manifest.last_day IS NULL
                OR (
                    manifest.last_day < previous_month
                    AND (manifest.last_day + 1)::timestamp AT TIME ZONE 'UTC' <= before
                )
        ),
        old_parts AS (
            SELECT
                part.id,
                old.id AS manifest_id,
                old.reason
            FROM old_manifests AS old
            JOIN gristmill_generation AS part
                ON part.manifest_id = old.id
            UNION ALL
            SELECT *
            FROM superseded_parts
        )
        SELECT
            old.id,
            old.manifest_id,
            old.reason,
            COALESCE(sum(coverage.rows), 0)::bigint AS rows
        FROM old_parts AS old
        LEFT JOIN gristmill_coverage AS coverage
            ON coverage.generation = old.id
        GROUP BY
            old.id,
            old.manifest_id,
            old.reason
        UNION ALL
        -- Nobody is at work on them: we hold the source.
        SELECT
            dead.id,
            dead.manifest_id,
            'interrupted',
            0
        FROM gristmill_generation AS dead
        WHERE
            dead.source_uuid = source
            AND dead.state = 'loading'
            AND dead.started_at < before
        ORDER BY 1
    LOOP
        IF NOT dry_run THEN
            IF old_generation.reason = 'superseded' THEN
                -- Its other files may come after all, and must not count alone then.
                PERFORM give_up_uploads(source, ARRAY[old_generation.manifest_id]);
            END IF;

            UPDATE gristmill_generation AS forgotten
            SET state = 'forgotten'
            WHERE forgotten.id = old_generation.id;
        END IF;

        generation := old_generation.id;
        manifest_id := old_generation.manifest_id;
        reason := old_generation.reason;
        rows := old_generation.rows;
        RETURN NEXT;
    END LOOP;
END
$$;
