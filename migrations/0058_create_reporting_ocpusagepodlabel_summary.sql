-- Which tags pods had in a month, for lists of what can be asked for. Values are
-- added and never taken away within a month.
--
-- Grain: one row per report period, key, namespace and node.

CREATE TABLE reporting_ocpusagepodlabel_summary (
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    key text NOT NULL,
    values text[] NOT NULL,
    namespace text,
    node text,
    report_period_id integer NOT NULL,
    -- Begins with the place: rows come place by place, and the index then grows at its
    -- end and nowhere else.
    CONSTRAINT reporting_ocpusagepodlabel_summary_place_key
        UNIQUE NULLS NOT DISTINCT (report_period_id, namespace, node, key)
);

-- Replica identity: the place key has columns that may be null, so it cannot be one. A
-- primary key of uuid alone took a quarter more time, and a third more log, for 234,000
-- new tags; all columns cost log where wal_level is logical, and only for tags that
-- change. Who replicates the table finds its rows by a primary key of uuid over there.
ALTER TABLE reporting_ocpusagepodlabel_summary REPLICA IDENTITY FULL;

COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.report_period_id
    IS 'Refers to reporting_ocpusagereportperiod, unchecked: rows are many, and periods are few';
COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.key IS 'An enabled key';
COMMENT ON COLUMN reporting_ocpusagepodlabel_summary.values IS 'In order, each once';
