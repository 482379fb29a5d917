-- Keeps partitions of tables from being dropped until the transaction ends, as COPYs into
-- them do once they have begun. The tables are locked in the order of their names.
--
-- Reads  as hold_partitions does
--
-- $1  tables  text[]  the table of each partition
-- $2  months  date[]  the first day of its month
--
-- Returns whether all of them are there now.

SELECT bool_and(hold_partitions(needed.parent, needed.months))
FROM (
    SELECT
        partition.parent,
        array_agg(partition.month) AS months
    FROM unnest($1::text[], $2::date[]) AS partition (parent, month)
    GROUP BY partition.parent
    ORDER BY partition.parent
) AS needed;
