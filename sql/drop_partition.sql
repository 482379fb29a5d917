-- Drops a partition, and its entry in the register that another product may keep in
-- this schema.
--
-- Reads   has_partition_register  once
-- Writes  partitioned_tables      one row per schema and partition
-- Writes  the partition           gone
--
-- partition  text  the partition
--
-- The product's own triggers may drop the partition with the entry. Fails soon when
-- the table is in use (55P03): whoever comes to load or to read waits behind this.

CREATE OR REPLACE FUNCTION drop_partition(partition text)
RETURNS void
LANGUAGE plpgsql
-- That it is gone already is no news.
SET client_min_messages = warning
SET lock_timeout = '100ms'
AS $$
BEGIN
    IF has_partition_register() THEN
        DELETE FROM partitioned_tables AS known
        WHERE
            known.schema_name = current_schema()
            AND known.table_name = partition;
    END IF;

    EXECUTE format('DROP TABLE IF EXISTS %I.%I', current_schema(), partition);
END
$$;
