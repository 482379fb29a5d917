-- The tags of pods and of volumes, alike.
--
-- Reads  reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Reads  reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
--
-- Returns one row per row of either.

CREATE OR REPLACE FUNCTION label_summaries()
RETURNS TABLE (report_period_id integer, key text, "values" text[], namespace text, node text)
LANGUAGE sql
STABLE
AS $$
SELECT pod.report_period_id, pod.key, pod.values, pod.namespace, pod.node
FROM reporting_ocpusagepodlabel_summary AS pod
UNION ALL
SELECT volume.report_period_id, volume.key, volume.values, volume.namespace, volume.node
FROM reporting_ocpstoragevolumelabel_summary AS volume;
$$;
