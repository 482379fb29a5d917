-- Creates what is missing of the previous, the current and the next month's
-- partitions, so that they always exist.
--
-- Writes  as ensure_month does

CREATE OR REPLACE FUNCTION ensure_current_months()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
    PERFORM ensure_month((this_month - interval '1 month')::date);
    PERFORM ensure_month(this_month::date);
    PERFORM ensure_month((this_month + interval '1 month')::date);
END
$$;
