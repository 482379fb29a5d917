-- The pods that are staged already make room for a table that has names by their
-- ids: seven migrations from here move them over. The view stays with them until then.

ALTER TABLE reporting_ocpusagelineitem_pod_staging RENAME TO reporting_ocpusagelineitem_pod_staging_text;

-- The new table has an index of this name.
DROP INDEX reporting_ocpusagelineitem_pod_staging_index;

-- And partitions of these.
DO $$
DECLARE
    staged record;
BEGIN
    FOR staged IN
        SELECT
            partition.relname AS partition
        FROM pg_inherits AS inheritance
        JOIN pg_class AS partition
            ON partition.oid = inheritance.inhrelid
        WHERE inheritance.inhparent = 'reporting_ocpusagelineitem_pod_staging_text'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', staged.partition, staged.partition || '_text');
    END LOOP;
END
$$;
