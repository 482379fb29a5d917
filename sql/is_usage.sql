-- Whether a row of the daily summary is of usage: such rows are ours to make and to
-- remove. The others come from cloud bills.
--
-- infrastructure_raw_cost  numeric  the row's

CREATE OR REPLACE FUNCTION is_usage(infrastructure_raw_cost numeric)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
SELECT COALESCE(infrastructure_raw_cost, 0) = 0;
$$;
