-- Says whether another product keeps a register of partitions in this schema: a
-- table `partitioned_tables` with the columns that register_partition writes.
--
-- Reads  pg_attribute  one row per column

CREATE OR REPLACE FUNCTION has_partition_register()
RETURNS boolean
LANGUAGE sql
STABLE
AS $$
SELECT count(*) = 7
FROM pg_attribute AS column_of_register
WHERE
    column_of_register.attrelid = to_regclass(format('%I.partitioned_tables', current_schema()))
    AND NOT column_of_register.attisdropped
    AND column_of_register.attname IN (
        'schema_name',
        'table_name',
        'partition_of_table_name',
        'partition_type',
        'partition_col',
        'partition_parameters',
        'active'
    );
$$;
