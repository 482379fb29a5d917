-- The cost category of a namespace: the largest of those whose patterns it
-- matches, or null. A namespace that matches several is still counted once.
--
-- Reads  reporting_ocp_cost_category_namespace  one row per pattern
--
-- namespace  text  the namespace

CREATE OR REPLACE FUNCTION cost_category_of(namespace text)
RETURNS integer
LANGUAGE sql
STABLE
AS $$
SELECT max(pattern.cost_category_id)
FROM reporting_ocp_cost_category_namespace AS pattern
WHERE
    cost_category_of.namespace LIKE CASE
        -- A backslash at the end escapes nothing, which would be an error: it stands for itself.
        WHEN pattern.namespace ~ '(^|[^\\])(\\\\)*\\$' THEN pattern.namespace || '\'
        ELSE pattern.namespace
    END;
$$;
