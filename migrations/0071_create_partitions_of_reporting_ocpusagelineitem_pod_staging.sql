-- The months that the renamed table has, under the names that it had for them: so a
-- register of partitions that another product keeps stays true.

DO $$
DECLARE
    staged record;
BEGIN
    FOR staged IN
        SELECT
            left(partition.relname, -length('_text')) AS partition,
            pg_get_expr(partition.relpartbound, partition.oid) AS bounds
        FROM pg_inherits AS inheritance
        JOIN pg_class AS partition
            ON partition.oid = inheritance.inhrelid
        WHERE inheritance.inhparent = 'reporting_ocpusagelineitem_pod_staging_text'::regclass
        ORDER BY partition.relname
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF reporting_ocpusagelineitem_pod_staging %s',
            staged.partition, staged.bounds
        );
    END LOOP;
END
$$;
