-- Lists the tables and views that can be exported: those with a column of days.
--
-- Reads  pg_class, pg_attribute  the tables and their columns

SELECT DISTINCT class.relname::text
FROM pg_class AS class
JOIN pg_attribute AS attribute
    ON attribute.attrelid = class.oid
    AND attribute.attname IN ('usage_start', 'usage_day', 'interval_start')
    AND NOT attribute.attisdropped
WHERE
    class.relnamespace = current_schema()::regnamespace
    AND class.relkind IN ('r', 'p', 'v', 'm')
    AND NOT class.relispartition
ORDER BY 1;
