-- Functions that nothing calls any more: each did in one transaction what is done in
-- many now.

DROP FUNCTION IF EXISTS drop_old_staging_partitions(bigint[]);
DROP FUNCTION IF EXISTS drop_old_partitions(date, boolean);
DROP FUNCTION IF EXISTS forget_old_generations(timestamptz, boolean);
DROP FUNCTION IF EXISTS forget_old_report_periods(date, boolean);
