-- Enters a month's partition into the register that another product keeps in this
-- schema, so that it finds the partition and drops it when its time comes. Without
-- a register nothing happens.
--
-- Reads   has_partition_register  once
-- Writes  partitioned_tables      one row per schema and partition
--
-- parent           text  the partitioned table
-- partition        text  its partition
-- partition_column text  what the table is partitioned by
-- first_day        date  the first day of the month
-- next_first_day   date  the first day of the next one
--
-- The product's own triggers may create the partition on that.

CREATE OR REPLACE FUNCTION register_partition(
    parent text,
    partition text,
    partition_column text,
    first_day date,
    next_first_day date
)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT has_partition_register() THEN
        RETURN;
    END IF;

    INSERT INTO partitioned_tables (
        schema_name,
        table_name,
        partition_of_table_name,
        partition_type,
        partition_col,
        partition_parameters,
        active
    )
    SELECT
        current_schema(),
        partition,
        parent,
        'range',
        partition_column,
        jsonb_build_object('default', false, 'from', first_day, 'to', next_first_day),
        true
    WHERE NOT EXISTS (
        SELECT
        FROM partitioned_tables AS known
        WHERE
            known.schema_name = current_schema()
            AND known.table_name = partition
    );
END
$$;
