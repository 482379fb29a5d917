-- Removes the values of tags that no month has any more.
--
-- Reads   reporting_ocpusagepodlabel_summary       one row per report period, key, namespace and node
-- Reads   reporting_ocpstoragevolumelabel_summary  one row per report period, key, namespace and node
-- Writes  reporting_ocptags_values                 one row per key and value
--
-- All values are looked at before the lock that loads ask for as well; behind it, those
-- that seemed to be unused.

CREATE OR REPLACE FUNCTION forget_unused_tag_values()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    unused_keys text[];
    unused_values text[];
BEGIN
    WITH unused AS (
        SELECT known.key, known.value
        FROM reporting_ocptags_values AS known
        EXCEPT
        SELECT pod.key, pod_value.value
        FROM reporting_ocpusagepodlabel_summary AS pod
        CROSS JOIN LATERAL unnest(pod.values) AS pod_value (value)
        EXCEPT
        SELECT volume.key, volume_value.value
        FROM reporting_ocpstoragevolumelabel_summary AS volume
        CROSS JOIN LATERAL unnest(volume.values) AS volume_value (value)
    )
    SELECT array_agg(unused.key), array_agg(unused.value)
    INTO unused_keys, unused_values
    FROM unused;

    IF unused_keys IS NULL THEN
        RETURN;
    END IF;

    -- One at a time, as in refresh_tags_values.
    PERFORM pg_advisory_xact_lock(hashtextextended('refresh_tags_values ' || current_schema(), 0));

    DELETE FROM reporting_ocptags_values AS orphan
    USING unnest(unused_keys, unused_values) AS unused (key, value)
    WHERE
        orphan.key = unused.key
        AND orphan.value = unused.value
        AND NOT EXISTS (
            SELECT
            FROM reporting_ocpusagepodlabel_summary AS pod
            WHERE
                pod.key = unused.key
                AND unused.value = ANY (pod.values)
        )
        AND NOT EXISTS (
            SELECT
            FROM reporting_ocpstoragevolumelabel_summary AS volume
            WHERE
                volume.key = unused.key
                AND unused.value = ANY (volume.values)
        );
END
$$;
