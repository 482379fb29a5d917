-- Says whether nobody needs a partition: it holds no rows, or, in staging, none of a
-- generation that counts.
--
-- Reads  gristmill_generation, gristmill_coverage  which months generations have rows of
-- Reads  the partition                             whether there are rows
--
-- partition  text     the partition, of a month
-- month      date     the first day of its month
-- is_staging boolean  whether it is one of a staging table
--
-- While anybody loads, nobody knows into which months: then a look at the rows decides.

CREATE OR REPLACE FUNCTION is_unused_partition(partition text, month date, is_staging boolean)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    is_empty boolean;
BEGIN
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I.%I)', current_schema(), partition)
    INTO is_empty;
    IF is_empty THEN
        RETURN true;
    END IF;

    RETURN is_staging AND NOT EXISTS (
        SELECT
        FROM gristmill_generation AS generation
        WHERE
            generation.state = 'loading'
            OR (
                generation.state = 'complete'
                AND EXISTS (
                    SELECT
                    FROM gristmill_coverage AS coverage
                    WHERE
                        coverage.generation = generation.id
                        AND coverage.interval_start >= month::timestamp AT TIME ZONE 'UTC'
                        AND coverage.interval_start < (month + interval '1 month') AT TIME ZONE 'UTC'
                )
            )
    );
-- Somebody else has dropped it.
EXCEPTION WHEN undefined_table THEN
    RETURN false;
END
$$;
