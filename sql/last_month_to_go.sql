-- The first day of the last month that is to go. On doubt nothing goes: a cutoff that
-- would take the previous month, which late payloads still change, is refused.
--
-- cutoff_month  date  any day of that month
-- doing         text  what is to be done, for the message: drop summaries

CREATE OR REPLACE FUNCTION last_month_to_go(cutoff_month date, doing text)
RETURNS date
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    last_month CONSTANT date := date_trunc('month', cutoff_month::timestamp);
    previous_month CONSTANT date := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month';
BEGIN
    IF cutoff_month IS NULL OR last_month >= previous_month THEN
        RAISE EXCEPTION 'cannot % up to %: % is the last month that may go',
            doing,
            COALESCE(to_char(last_month, 'YYYY-MM'), 'an unknown month'),
            to_char(previous_month - interval '1 month', 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN last_month;
END
$$;
