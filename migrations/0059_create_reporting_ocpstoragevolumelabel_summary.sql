-- Which tags volumes had in a month, for lists of what can be asked for. Values
-- are added and never taken away within a month.
--
-- Grain: one row per report period, key, namespace and node.

CREATE TABLE reporting_ocpstoragevolumelabel_summary (
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    key text NOT NULL,
    values text[] NOT NULL,
    namespace text,
    node text,
    report_period_id integer NOT NULL,
    -- Begins with the place: rows come place by place, and the index then grows at its
    -- end and nowhere else. A volume that no pod mounts is on no node: that is one
    -- place, too.
    CONSTRAINT reporting_ocpstoragevolumelabel_summary_place_key
        UNIQUE NULLS NOT DISTINCT (report_period_id, namespace, node, key)
);

-- Replica identity: as for the tags of pods, all columns.
ALTER TABLE reporting_ocpstoragevolumelabel_summary REPLICA IDENTITY FULL;

COMMENT ON COLUMN reporting_ocpstoragevolumelabel_summary.report_period_id
    IS 'Refers to reporting_ocpusagereportperiod, unchecked: rows are many, and periods are few';
COMMENT ON COLUMN reporting_ocpstoragevolumelabel_summary.key IS 'An enabled key';
COMMENT ON COLUMN reporting_ocpstoragevolumelabel_summary.values IS 'In order, each once';
COMMENT ON COLUMN reporting_ocpstoragevolumelabel_summary.node IS 'Null for volumes that no pod mounts';
