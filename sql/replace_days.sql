-- Puts the rows of a new generation in the place of those that a manifest had of
-- some days. Its other days keep the rows that they had.
--
-- Reads   staging_partitions    where the rows of a generation are
-- Writes  every staging table   one row per generation, hour and object
-- Writes  gristmill_coverage    one row per generation, report kind and hour
-- Writes  gristmill_generation  one row per generation
-- Writes  gristmill_day         one row per source and day
-- Writes  as remove_repeated_rows does
--
-- manifest_id      integer  the manifest
-- generation       bigint   the new generation, which is complete
-- days             date[]   the UTC days to be replaced; the manifest holds them
-- coverage_report  text     the report kind whose distinct hours say how much of a day there is
--
-- Returns the days that the new generation has rows of. Generations of the
-- manifest that are left with nothing are forgotten.
--
-- The statement made for each partition that may hold such rows is given
-- $1  the new generation
-- $2  the manifest's other generations
-- $3  the days
--
-- Partitions are visited by name: a statement on the whole table would lock those of
-- all months.

CREATE OR REPLACE FUNCTION replace_days(
    manifest_id integer,
    generation bigint,
    days date[],
    coverage_report text
)
RETURNS SETOF date
LANGUAGE plpgsql
AS $$
DECLARE
    manifest ALIAS FOR manifest_id;
    new_generation ALIAS FOR generation;
    old_generations CONSTANT bigint[] := ARRAY(
        SELECT old.id
        FROM gristmill_generation AS old
        WHERE
            old.manifest_id = manifest
            AND old.id <> new_generation
            AND old.state = 'complete'
    );
    partition text;
    emptied bigint;
BEGIN
    FOR partition IN
        SELECT DISTINCT staging_partitions(replaced.id)
        FROM unnest(old_generations || new_generation) AS replaced (id)
        WHERE EXISTS (
            SELECT
            FROM gristmill_coverage AS coverage
            WHERE coverage.generation = replaced.id
        )
        ORDER BY 1
    LOOP
        EXECUTE format(
            'DELETE FROM %I.%I
            WHERE
                (generation = $1 AND (interval_start AT TIME ZONE ''UTC'')::date <> ALL ($3))
                OR (generation = ANY ($2) AND (interval_start AT TIME ZONE ''UTC'')::date = ANY ($3))',
            current_schema(), partition
        ) USING new_generation, old_generations, days;
    END LOOP;

    DELETE FROM gristmill_coverage AS coverage
    WHERE
        (
            coverage.generation = new_generation
            AND (coverage.interval_start AT TIME ZONE 'UTC')::date <> ALL (days)
        )
        OR (
            coverage.generation = ANY (old_generations)
            AND (coverage.interval_start AT TIME ZONE 'UTC')::date = ANY (days)
        );

    FOR emptied IN
        SELECT old.id
        FROM unnest(old_generations) AS old (id)
        WHERE NOT EXISTS (
            SELECT
            FROM gristmill_coverage AS coverage
            WHERE coverage.generation = old.id
        )
    LOOP
        PERFORM forget_generation(emptied);
    END LOOP;

    PERFORM remove_repeated_rows(manifest);

    RETURN QUERY
    UPDATE gristmill_day AS day
    SET
        hours = covered.hours,
        rows = covered.rows,
        published_at = now(),
        processed_at = NULL
    FROM days_of_manifest(manifest, coverage_report) AS covered
    JOIN gristmill_day_manifest AS holder
        ON holder.usage_day = covered.usage_day
        AND holder.manifest_id = manifest
    WHERE
        covered.usage_day = ANY (days)
        AND day.source_uuid = holder.source_uuid
        AND day.usage_day = holder.usage_day
    RETURNING day.usage_day;
END
$$;
