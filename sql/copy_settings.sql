-- Gives this schema, which is new, the settings of another one: what a payload's tables
-- depend on besides the payload and the pipeline.
--
-- Writes  gristmill_source, reporting_ocp_infrastructure_map  the source, and where it runs
-- Writes  reporting_enabledtagkeys, reporting_tagmapping      tags and their names
-- Writes  reporting_ocp_cost_category, _namespace             cost categories
--
-- site    text  the other schema
-- source  uuid  the source
--
-- The statements made for the other schema are given
-- $1  the source
--
-- The source gets no engine: whoever loads into a new schema says which.

CREATE OR REPLACE FUNCTION copy_settings(site text, source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    of_table text;
BEGIN
    EXECUTE format(
        'SELECT register_source(known.source_uuid, known.cluster_id, known.cluster_alias)
        FROM %I.gristmill_source AS known
        WHERE known.source_uuid = $1',
        site
    ) USING source;
    EXECUTE format(
        'INSERT INTO reporting_ocp_infrastructure_map
        SELECT declared.*
        FROM %I.reporting_ocp_infrastructure_map AS declared
        WHERE declared.source_uuid = $1',
        site
    ) USING source;

    -- Every schema begins with one.
    DELETE FROM reporting_ocp_cost_category;

    FOREACH of_table IN ARRAY ARRAY[
        'reporting_enabledtagkeys',
        'reporting_tagmapping',
        'reporting_ocp_cost_category',
        'reporting_ocp_cost_category_namespace'
    ]
    LOOP
        EXECUTE format('INSERT INTO %I SELECT setting.* FROM %I.%I AS setting', of_table, site, of_table);
    END LOOP;
END
$$;
