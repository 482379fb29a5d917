-- Tells the outcome of each day that a manifest claims. Reads and writes as
-- claim_days does.
--
-- $1  manifest_id  integer  the manifest

SELECT
    usage_day,
    hours,
    outcome
FROM claim_days($1)
ORDER BY usage_day;
