-- The labels of namespaces, hour by hour, as people read it. Labels are spelt
-- out, and processed says whether the daily summary was made of the row.
--
-- Reads  reporting_ocpusagelineitem_namespace_labels_staging  one row per generation, hour and namespace
-- Reads  gristmill_generation                                 one row per run that loaded rows
-- Reads  gristmill_day_manifest                               one row per source, UTC day and manifest
-- Reads  gristmill_day                                        one row per source and UTC day
-- Reads  gristmill_label_set                                  one row per distinct set
--
-- Grain: one row per staged row.

CREATE OR REPLACE VIEW reporting_ocpusagelineitem_namespace_labels_staging_view AS
SELECT
    staged.generation,
    staged.source_uuid,
    staged.report_period_id,
    staged.report_period_start,
    staged.report_period_end,
    staged.interval_start,
    staged.interval_end,
    namespace_labels.labels AS namespace_labels,
    staged.namespace,
    day.processed_at IS NOT NULL AS processed
FROM reporting_ocpusagelineitem_namespace_labels_staging AS staged
LEFT JOIN gristmill_generation AS loaded
    ON loaded.id = staged.generation
    AND loaded.state = 'complete'
LEFT JOIN gristmill_day_manifest AS holder
    ON holder.manifest_id = loaded.manifest_id
    AND holder.source_uuid = loaded.source_uuid
    AND holder.usage_day = (staged.interval_start AT TIME ZONE 'UTC')::date
LEFT JOIN gristmill_day AS day
    ON day.source_uuid = holder.source_uuid
    AND day.usage_day = holder.usage_day
LEFT JOIN gristmill_label_set AS namespace_labels
    ON namespace_labels.id = staged.namespace_labels_id;

COMMENT ON COLUMN reporting_ocpusagelineitem_namespace_labels_staging_view.processed
    IS 'Not so for rows of a payload that lost its day to another one';
