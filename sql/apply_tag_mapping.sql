-- Gives labels of some days the keys that the tag mapping wants. Returns how many
-- rows that changed.
--
-- Reads   reporting_tagmapping, reporting_enabledtagkeys  one row per renamed key
-- Reads   rename_tag_keys                                 once per distinct label set
-- Writes  reporting_ocpusagelineitem_daily_summary        one row per contribution
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- To be run after the label summaries, which show the keys as they were reported.
-- Rows without a renamed key are not touched, nor are those that come from cloud
-- bills.

CREATE OR REPLACE FUNCTION apply_tag_mapping(days date[], source uuid)
RETURNS bigint
LANGUAGE plpgsql
-- Nobody has counted the rows that were just made, and the planner guesses a few:
-- it would compare every one of them with every label set.
SET enable_nestloop = off
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
    -- Which key becomes which.
    parents jsonb;
    children text[];
    rows_updated_here bigint;
    rows_updated bigint := 0;
BEGIN
    SELECT
        jsonb_object_agg(child.key, parent.key),
        array_agg(child.key)
    INTO parents, children
    FROM reporting_tagmapping AS mapping
    JOIN reporting_enabledtagkeys AS parent
        ON parent.uuid = mapping.parent_id
    JOIN reporting_enabledtagkeys AS child
        ON child.uuid = mapping.child_id
    WHERE
        child.enabled
        AND child.provider_type = 'OCP';

    IF children IS NULL THEN
        RETURN 0;
    END IF;

    -- Materialized, so that each is renamed once and not for every column.
    WITH label_sets AS MATERIALIZED (
        SELECT
            before.labels,
            rename_tag_keys(before.labels, parents) AS renamed
        FROM (
            SELECT DISTINCT summary.pod_labels AS labels
            FROM reporting_ocpusagelineitem_daily_summary AS summary
            WHERE
                summary.usage_start = ANY (days)
                AND summary.usage_start BETWEEN first_day AND last_day
                AND summary.source_uuid = source
                AND is_usage(summary.infrastructure_raw_cost)
                AND summary.pod_labels ?| children
        ) AS before
    )
    UPDATE reporting_ocpusagelineitem_daily_summary AS summary
    SET
        pod_labels = label_set.renamed,
        all_labels = label_set.renamed || COALESCE(summary.volume_labels, '{}')
    FROM label_sets AS label_set
    WHERE
        summary.usage_start = ANY (days)
        AND summary.usage_start BETWEEN first_day AND last_day
        AND summary.source_uuid = source
        AND is_usage(summary.infrastructure_raw_cost)
        AND summary.pod_labels = label_set.labels;

    GET DIAGNOSTICS rows_updated_here = ROW_COUNT;
    rows_updated := rows_updated + rows_updated_here;

    WITH label_sets AS MATERIALIZED (
        SELECT
            before.labels,
            rename_tag_keys(before.labels, parents) AS renamed
        FROM (
            SELECT DISTINCT summary.volume_labels AS labels
            FROM reporting_ocpusagelineitem_daily_summary AS summary
            WHERE
                summary.usage_start = ANY (days)
                AND summary.usage_start BETWEEN first_day AND last_day
                AND summary.source_uuid = source
                AND is_usage(summary.infrastructure_raw_cost)
                AND summary.volume_labels ?| children
        ) AS before
    )
    UPDATE reporting_ocpusagelineitem_daily_summary AS summary
    SET
        volume_labels = label_set.renamed,
        all_labels = COALESCE(summary.pod_labels, '{}') || label_set.renamed
    FROM label_sets AS label_set
    WHERE
        summary.usage_start = ANY (days)
        AND summary.usage_start BETWEEN first_day AND last_day
        AND summary.source_uuid = source
        AND is_usage(summary.infrastructure_raw_cost)
        AND summary.volume_labels = label_set.labels;

    GET DIAGNOSTICS rows_updated_here = ROW_COUNT;
    RETURN rows_updated + rows_updated_here;
END
$$;
