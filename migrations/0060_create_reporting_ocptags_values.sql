-- Where each value of a tag was seen, in any cluster and month.
--
-- Grain: one row per key and value.

CREATE TABLE reporting_ocptags_values (
    uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    value text NOT NULL,
    cluster_ids text[] NOT NULL,
    cluster_aliases text[] NOT NULL,
    namespaces text[] NOT NULL,
    nodes text[],
    UNIQUE (key, value)
);

COMMENT ON COLUMN reporting_ocptags_values.nodes IS 'An element is null for volumes that no pod mounts';
