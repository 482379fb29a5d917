-- The report period of a source and month, made if it is missing.
--
-- Reads   gristmill_source                one row per source
-- Writes  reporting_ocpusagereportperiod  one row per source and month
--
-- source_uuid  uuid  the source
-- month        date  any day of the month

CREATE OR REPLACE FUNCTION ensure_report_period(source_uuid uuid, month date)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    first_day CONSTANT timestamp := date_trunc('month', month::timestamp);
    period_id integer;
BEGIN
    INSERT INTO reporting_ocpusagereportperiod (
        cluster_id, cluster_alias, report_period_start, report_period_end, provider_id
    )
    SELECT
        source.cluster_id,
        source.cluster_alias,
        first_day AT TIME ZONE 'UTC',
        (first_day + interval '1 month') AT TIME ZONE 'UTC',
        source.source_uuid
    FROM gristmill_source AS source
    WHERE source.source_uuid = ensure_report_period.source_uuid
    ON CONFLICT (cluster_id, report_period_start, provider_id) DO NOTHING;

    SELECT period.id
    INTO period_id
    FROM reporting_ocpusagereportperiod AS period
    WHERE
        period.provider_id = ensure_report_period.source_uuid
        AND period.report_period_start = first_day AT TIME ZONE 'UTC';

    IF NOT FOUND THEN
        RAISE EXCEPTION 'source % is not registered', ensure_report_period.source_uuid
            USING ERRCODE = 'no_data_found';
    END IF;

    RETURN period_id;
END
$$;
