-- Begins to give a source another alias: everywhere but in the rows of days and the values
-- of tags, which follow in parts, by rename_day and settle_tag_value.
--
-- Writes  gristmill_source                one row per source
-- Writes  reporting_tenant_api_provider   one row per source
-- Writes  reporting_ocp_clusters          one row per source
-- Writes  reporting_ocpusagereportperiod  one row per source and month
-- Writes  as distrust_tags_values does
--
-- source_uuid    uuid  the source
-- cluster_alias  text  its new alias, at most 256 characters: no summary holds more

CREATE OR REPLACE FUNCTION rename_source(source_uuid uuid, cluster_alias text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF length(cluster_alias) NOT BETWEEN 1 AND 256 THEN
        RAISE EXCEPTION 'an alias has % characters, expected 1 to 256', length(cluster_alias)
            USING ERRCODE = 'string_data_right_truncation';
    END IF;

    UPDATE gristmill_source AS source
    SET
        cluster_alias = rename_source.cluster_alias,
        is_being_renamed = true
    WHERE source.source_uuid = rename_source.source_uuid;

    IF NOT FOUND THEN
        RAISE EXCEPTION 'source % is not registered', rename_source.source_uuid
            USING ERRCODE = 'no_data_found';
    END IF;

    UPDATE reporting_tenant_api_provider AS provider
    SET name = rename_source.cluster_alias
    WHERE provider.uuid = rename_source.source_uuid;

    UPDATE reporting_ocp_clusters AS cluster
    SET cluster_alias = rename_source.cluster_alias
    WHERE cluster.provider_id = rename_source.source_uuid;

    UPDATE reporting_ocpusagereportperiod AS period
    SET cluster_alias = rename_source.cluster_alias
    WHERE period.provider_id = rename_source.source_uuid;

    -- They list clusters by alias, too, and are of all months.
    PERFORM distrust_tags_values();
END
$$;
