-- Removes a report period with the tags of its month. Values of tags that no month has
-- any more go afterwards, by forget_unused_tag_values.
--
-- Writes  reporting_ocpusagereportperiod           one row per source and month
-- Writes  reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Writes  reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
--
-- period  integer  the report period

CREATE OR REPLACE FUNCTION forget_report_period(period integer)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM reporting_ocpusagepodlabel_summary AS label
    WHERE label.report_period_id = period;

    DELETE FROM reporting_ocpstoragevolumelabel_summary AS label
    WHERE label.report_period_id = period;

    DELETE FROM reporting_ocpusagereportperiod AS forgotten
    WHERE forgotten.id = period;
END
$$;
