-- The category that every tenant starts with: OpenShift's own projects, and
-- the capacity that only they could have used.

WITH platform AS (
    INSERT INTO reporting_ocp_cost_category (name, description, source_type, system_default)
    VALUES ('Platform', 'Default OpenShift projects bucketed into a Platform group', 'OCP', true)
    RETURNING id
)
INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
SELECT patterns.namespace, true, platform.id
FROM platform
CROSS JOIN (
    VALUES ('kube-%'), ('openshift'), ('openshift-%'), ('Platform unallocated')
) AS patterns (namespace);
