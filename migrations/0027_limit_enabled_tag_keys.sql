-- Lets at most 200 keys be enabled: consumers join every label with all of them.

CREATE FUNCTION limit_enabled_tag_keys()
RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    keys_max CONSTANT integer := 200;
    keys_enabled integer;
BEGIN
    -- Two that are enabled at the same time see one another.
    PERFORM pg_advisory_xact_lock(hashtextextended('limit_enabled_tag_keys ' || TG_TABLE_SCHEMA, 0));

    SELECT count(*)
    INTO keys_enabled
    FROM reporting_enabledtagkeys AS known
    WHERE
        known.enabled
        AND known.provider_type = NEW.provider_type;

    IF keys_enabled > keys_max THEN
        RAISE EXCEPTION 'cannot enable tag key `%`: % keys are enabled, and that is the most there can be',
            NEW.key, keys_max
            USING
                ERRCODE = 'check_violation',
                HINT = 'Disable a key that no report asks for.';
    END IF;

    RETURN NULL;
END
$$;

CREATE TRIGGER limit_enabled_tag_keys
AFTER INSERT OR UPDATE OF enabled ON reporting_enabledtagkeys
FOR EACH ROW
WHEN (NEW.enabled)
EXECUTE FUNCTION limit_enabled_tag_keys();
