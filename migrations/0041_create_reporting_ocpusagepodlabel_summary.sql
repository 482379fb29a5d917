-- Which tags pods had in a month, for lists of what can be asked for. Values are
-- added and never taken away within a month.
--
-- Grain: one row per report period, key, namespace and node.

CREATE TABLE reporting_ocpusagepodlabel_summary (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    values text[] NOT NULL,
    namespace text,
    node text,
    report_period_id integer NOT NULL,
    -- Led by the period, by which the rows of a summary are found.
    UNIQUE NULLS NOT DISTINCT (report_period_id, key, namespace, node)
);

COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.report_period_id
    IS 'Refers to reporting_ocpusagereportperiod, unchecked: rows are many, and periods are few';
COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.key IS 'An enabled key';
COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.values IS 'In order, each once';
