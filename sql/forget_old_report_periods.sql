-- Removes the report periods that are past retention, with the tags of their
-- months, and what these months alone had of the tags' values.
--
-- Reads   gristmill_tag_key                        one row per key that was ever in a label summary
-- Writes  reporting_ocpusagereportperiod           one row per source and month
-- Writes  reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Writes  reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
-- Writes  reporting_ocptags_values                 one row per key and value
--
-- cutoff_month  date     any day of the last month that is to go; earlier ones go as well
-- dry_run       boolean  only say what would go
--
-- Returns one row per report period. A cutoff that would take the previous month is
-- refused, as by drop_old_partitions.

CREATE OR REPLACE FUNCTION forget_old_report_periods(cutoff_month date, dry_run boolean)
RETURNS TABLE (report_period_id integer, cluster_id text, month date)
LANGUAGE plpgsql
AS $$
DECLARE
    next_month CONSTANT timestamp := date_trunc('month', cutoff_month::timestamp) + interval '1 month';
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    old_periods integer[];
    forgotten_keys text[];
BEGIN
    IF cutoff_month IS NULL OR next_month >= this_month THEN
        RAISE EXCEPTION 'cannot forget report periods up to %: % is the last month that may go',
            COALESCE(to_char(cutoff_month, 'YYYY-MM'), 'an unknown month'),
            to_char(this_month - interval '2 months', 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT COALESCE(array_agg(period.id), '{}')
    INTO old_periods
    FROM reporting_ocpusagereportperiod AS period
    WHERE period.report_period_start < next_month AT TIME ZONE 'UTC';

    RETURN QUERY
    SELECT
        period.id,
        period.cluster_id::text,
        (period.report_period_start AT TIME ZONE 'UTC')::date
    FROM reporting_ocpusagereportperiod AS period
    WHERE period.id = ANY (old_periods)
    ORDER BY
        period.report_period_start,
        period.cluster_id;

    IF dry_run THEN
        RETURN;
    END IF;

    WITH pod_labels AS (
        DELETE FROM reporting_ocpusagepodlabel_summary AS label
        WHERE label.report_period_id = ANY (old_periods)
        RETURNING label.key
    ),
    volume_labels AS (
        DELETE FROM reporting_ocpstoragevolumelabel_summary AS label
        WHERE label.report_period_id = ANY (old_periods)
        RETURNING label.key
    )
    SELECT array_agg(forgotten.key)
    INTO forgotten_keys
    FROM (
        SELECT label.key FROM pod_labels AS label
        UNION
        SELECT label.key FROM volume_labels AS label
    ) AS forgotten;

    DELETE FROM reporting_ocpusagereportperiod AS period
    WHERE period.id = ANY (old_periods);

    -- One at a time, as in refresh_tags_values.
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    -- A disabled key has no values, though its labels stay to the end of their months.
    PERFORM remake_tags_values(ARRAY(
        SELECT forgotten.key
        FROM unnest(forgotten_keys) AS forgotten (key)
        LEFT JOIN gristmill_tag_key AS known
            ON known.key = forgotten.key
        WHERE known.values_state IS DISTINCT FROM 'removed'
    ));
END
$$;
