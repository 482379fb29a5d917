-- Drops a partition that nobody needs. Returns whether it was dropped.
--
-- Reads   pg_inherits    its table
-- Reads   as is_unused_partition does
-- Writes  the partition  gone, as by drop_partition
--
-- partition   text     the partition, of a month
-- month       date     the first day of the month
-- is_staging  boolean  whether it is one of a staging table
--
-- Fails soon when the table is in use (55P03): whoever comes to load waits behind this.

CREATE OR REPLACE FUNCTION drop_unused_partition(partition text, month date, is_staging boolean)
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
DECLARE
    parent regclass;
BEGIN
    IF NOT is_unused_partition(partition, month, is_staging) THEN
        RETURN false;
    END IF;

    SELECT inheritance.inhparent
    INTO parent
    FROM pg_inherits AS inheritance
    WHERE inheritance.inhrelid = to_regclass(format('%I.%I', current_schema(), partition));

    IF parent IS NULL THEN
        RETURN false;
    END IF;

    -- Whoever loads holds the table before asking for its partitions, so what is seen
    -- from here on stays so: hold_partitions.
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);

    IF NOT is_unused_partition(partition, month, is_staging) THEN
        RETURN false;
    END IF;

    PERFORM drop_partition(partition);
    RETURN true;
END
$$;
