-- Removes a report period with the tags of its month. What its month had of the tags'
-- values is in doubt then: settle_tags_values, or the next summary, makes them anew.
--
-- Writes  reporting_ocpusagereportperiod           one row per source and month
-- Writes  reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Writes  reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
-- Writes  gristmill_tag_key                        one row per key that was ever in a label summary
--
-- period  integer  the report period

CREATE OR REPLACE FUNCTION forget_report_period(period integer)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    forgotten_keys text[];
BEGIN
    WITH pod_labels AS (
        DELETE FROM reporting_ocpusagepodlabel_summary AS label
        WHERE label.report_period_id = period
        RETURNING label.key
    ),
    volume_labels AS (
        DELETE FROM reporting_ocpstoragevolumelabel_summary AS label
        WHERE label.report_period_id = period
        RETURNING label.key
    )
    SELECT array_agg(forgotten.key)
    INTO forgotten_keys
    FROM (
        SELECT label.key FROM pod_labels AS label
        UNION
        SELECT label.key FROM volume_labels AS label
    ) AS forgotten;

    PERFORM doubt_tags_values(forgotten_keys);

    DELETE FROM reporting_ocpusagereportperiod AS forgotten
    WHERE forgotten.id = period;
END
$$;
