-- The names of the pods that are staged already, with the ids that the program gives.
-- It fails when two of them have one id, as a load would.

INSERT INTO gristmill_name (id, name)
SELECT
    ('x' || left(encode(sha256(convert_to(names.name, 'UTF8')), 'hex'), 16))::bit(64)::bigint,
    names.name
FROM (
    SELECT staged.namespace AS name
    FROM reporting_ocpusagelineitem_pod_staging_text AS staged
    UNION
    SELECT staged.node
    FROM reporting_ocpusagelineitem_pod_staging_text AS staged
    UNION
    SELECT staged.resource_id
    FROM reporting_ocpusagelineitem_pod_staging_text AS staged
) AS names
WHERE names.name IS NOT NULL;
