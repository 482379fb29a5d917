-- Makes a cluster known as a source. Once it is, a second call changes nothing;
-- its alias is changed by rename_source.
--
-- Writes  gristmill_source               one row per source
-- Writes  reporting_tenant_api_provider  one row per source
-- Writes  reporting_ocp_clusters         one row per source
--
-- source_uuid    uuid  what the source's rows will carry
-- cluster_id     text  what its manifests call it, at most 50 characters
-- cluster_alias  text  what people call it, at most 256 characters

CREATE OR REPLACE FUNCTION register_source(source_uuid uuid, cluster_id text, cluster_alias text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    registered_cluster text;
    registered_source uuid;
BEGIN
    IF length(cluster_id) NOT BETWEEN 1 AND 50 THEN
        RAISE EXCEPTION 'cluster id `%` has % characters, expected 1 to 50', cluster_id, length(cluster_id)
            USING ERRCODE = 'string_data_right_truncation';
    ELSIF length(cluster_alias) NOT BETWEEN 1 AND 256 THEN
        RAISE EXCEPTION 'an alias has % characters, expected 1 to 256', length(cluster_alias)
            USING ERRCODE = 'string_data_right_truncation';
    END IF;

    INSERT INTO reporting_tenant_api_provider (uuid, name, type, provider_id)
    VALUES (register_source.source_uuid, register_source.cluster_alias, 'OCP', register_source.source_uuid)
    ON CONFLICT DO NOTHING;

    INSERT INTO gristmill_source (source_uuid, cluster_id, cluster_alias)
    VALUES (register_source.source_uuid, register_source.cluster_id, register_source.cluster_alias)
    ON CONFLICT DO NOTHING;

    SELECT source.cluster_id
    INTO registered_cluster
    FROM gristmill_source AS source
    WHERE source.source_uuid = register_source.source_uuid;

    SELECT source.source_uuid
    INTO registered_source
    FROM gristmill_source AS source
    WHERE source.cluster_id = register_source.cluster_id;

    IF registered_cluster <> register_source.cluster_id THEN
        RAISE EXCEPTION 'source % is already registered with cluster id `%`, not `%`',
            register_source.source_uuid, registered_cluster, register_source.cluster_id
            USING ERRCODE = 'unique_violation';
    ELSIF registered_source <> register_source.source_uuid THEN
        RAISE EXCEPTION 'cluster id `%` is already registered with source %, not %',
            register_source.cluster_id, registered_source, register_source.source_uuid
            USING ERRCODE = 'unique_violation';
    END IF;

    INSERT INTO reporting_ocp_clusters (cluster_id, cluster_alias, provider_id)
    VALUES (register_source.cluster_id, register_source.cluster_alias, register_source.source_uuid)
    ON CONFLICT (provider_id) DO NOTHING;
END
$$;
