-- Brings the indexes of months' staging partitions up to the rows that were loaded last.
--
-- Writes  as index_staged_rows does
--
-- $1  months  date[]  the first days of months

SELECT index_staged_rows(month)
FROM unnest($1::date[]) AS month
ORDER BY month;
