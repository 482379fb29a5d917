-- The projects (namespaces with pods) that a cluster has been seen with.
--
-- Grain: one row per cluster and project.

CREATE TABLE reporting_ocp_projects (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project text NOT NULL,
    cluster_id uuid NOT NULL REFERENCES reporting_ocp_clusters (uuid),
    UNIQUE (cluster_id, project)
);
