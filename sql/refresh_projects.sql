-- Notes the projects that a day's pods ran in.
--
-- Reads   pg_temp.daily_pods      one row per namespace, node, pod, own label set and machine; see make_daily_tables
-- Writes  reporting_ocp_projects  one row per cluster and project
--
-- source  uuid  the source

CREATE OR REPLACE FUNCTION refresh_projects(source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO reporting_ocp_projects (project, cluster_id)
    SELECT DISTINCT pod.namespace, cluster.uuid
    FROM pg_temp.daily_pods AS pod
    JOIN reporting_ocp_clusters AS cluster
        ON cluster.provider_id = source
    ON CONFLICT (cluster_id, project) DO NOTHING;
END
$$;
