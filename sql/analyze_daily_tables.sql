-- Counts what is in the tables of a day, for the plans of what reads them. Worth its time
-- where they are large: plans that were made before are made anew.
--
-- Reads  pg_temp.daily_pods        one row per namespace, node, pod, own label set and machine; see make_daily_tables
-- Reads  pg_temp.daily_volumes     one row per volume, claim, pod and own label sets; see make_daily_tables
-- Reads  pg_temp.daily_nodes       one row per node with pods, the blank one included; see make_daily_tables
-- Reads  pg_temp.daily_namespaces  one row per namespace; see make_daily_tables

CREATE OR REPLACE FUNCTION analyze_daily_tables()
RETURNS void
LANGUAGE plpgsql
-- Some thousand rows tell well enough how many there are of what.
SET default_statistics_target = 10
AS $$
BEGIN
    ANALYZE
        pg_temp.daily_pods (namespace, node, pod, resource_id, pod_labels_id),
        pg_temp.daily_volumes,
        pg_temp.daily_nodes (node),
        pg_temp.daily_namespaces (namespace);
END
$$;
