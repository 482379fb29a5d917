-- Lists the GPUs, and slices of them, that projects had on some days, in place of
-- what was there.
--
-- Reads   held_days                               one row per day that can be summarised
-- Reads   reporting_ocpusagelineitem_gpu_staging  one row per generation, hour, pod and card or slice
-- Reads   gpu_slices_max, cost_category_of        once per row
-- Writes  reporting_ocp_gpu_summary_p             one row per day, namespace, node, card or slice, and
--                                                 its vendor, model and profile
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- A row with a profile is about a slice, whose sizes the profile tells. If we do
-- not know how its model is cut, it counts as a whole card.

CREATE OR REPLACE FUNCTION refresh_gpu_summary(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- What tells a plan that is made for any days which months they are of.
    first_day CONSTANT date := (SELECT min(day) FROM unnest(days) AS day);
    last_day CONSTANT date := (SELECT max(day) FROM unnest(days) AS day);
    -- Known before the query is planned, so that it keeps to the months of the days.
    range_start CONSTANT timestamptz := (SELECT min(day) FROM unnest(days) AS day)::timestamp AT TIME ZONE 'UTC';
    range_end CONSTANT timestamptz := (SELECT max(day) + 1 FROM unnest(days) AS day)::timestamp AT TIME ZONE 'UTC';
    gb_per_mib CONSTANT numeric := 0.001048576;
BEGIN
    DELETE FROM reporting_ocp_gpu_summary_p AS made
    USING held_days(days, source) AS held
    WHERE
        made.usage_start = held.usage_day
        AND made.usage_start = ANY (days)
        AND made.usage_start BETWEEN first_day AND last_day
        AND made.source_uuid = source;

    WITH reported AS (
        -- One row per day and set of words: names are put in order once, not
        -- every hour.
        SELECT
            held.usage_day,
            staged.namespace,
            staged.node,
            CASE staged.gpu_vendor_name WHEN 'nvidia_com_gpu' THEN 'nvidia' ELSE staged.gpu_vendor_name END
                AS vendor_name,
            btrim(regexp_replace(staged.gpu_model_name, '[^A-Za-z0-9]+', ' ', 'g')) AS model_name,
            staged.gpu_uuid,
            staged.mig_instance_id,
            staged.mig_profile,
            staged.mig_strategy,
            max(staged.gpu_memory_capacity_mib_e6) * 1e-6 AS memory_capacity_mib,
            -- Rows of before there was a limit may hold more than an integer does.
            (
                max(staged.gpu_max_slices_e6) FILTER (
                    WHERE staged.gpu_max_slices_e6 BETWEEN -2147483648000000 AND 2147483647000000
                ) * 1e-6
            )::integer AS max_slices
        FROM held_days(days, source) AS held
        JOIN reporting_ocpusagelineitem_gpu_staging AS staged
            ON staged.generation = ANY (held.generations)
            AND staged.interval_start >= held.usage_day::timestamp AT TIME ZONE 'UTC'
            AND staged.interval_start < (held.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
            AND staged.interval_start >= range_start
            AND staged.interval_start < range_end
        GROUP BY
            held.usage_day,
            staged.namespace,
            staged.node,
            staged.gpu_vendor_name,
            staged.gpu_model_name,
            staged.gpu_uuid,
            staged.mig_instance_id,
            staged.mig_profile,
            staged.mig_strategy
    ),
    sized AS (
        SELECT
            reported.*,
            reported.mig_profile <> '' AS has_profile,
            COALESCE(reported.max_slices, gpu_slices_max(reported.model_name)) AS known_max_slices,
            -- Sizes that are no sizes of a card, because they have more digits, are not known.
            regexp_match(reported.mig_profile, '^([0-9]{1,9})g\.([0-9]{1,9})gb$', 'i')::bigint[] AS profile_sizes
        FROM reported
    ),
    cards AS (
        SELECT
            sized.usage_day,
            sized.namespace,
            sized.node,
            sized.vendor_name,
            sized.model_name,
            sized.gpu_uuid,
            sized.memory_capacity_mib,
            slice.max_slices,
            slice.mig_profile,
            slice.mig_instance_id,
            slice.mig_strategy,
            slice.mig_slice_count,
            slice.mig_memory_capacity_mib
        FROM sized
        LEFT JOIN LATERAL (
            -- A slice.
            SELECT
                sized.known_max_slices AS max_slices,
                sized.mig_profile,
                sized.mig_instance_id,
                sized.mig_strategy,
                sized.profile_sizes[1] AS mig_slice_count,
                sized.profile_sizes[2] * 1024 AS mig_memory_capacity_mib
            WHERE
                sized.has_profile
                AND sized.known_max_slices IS NOT NULL
            UNION ALL
            -- A whole card, as it is reported.
            SELECT
                sized.max_slices,
                NULL,
                sized.mig_instance_id,
                sized.mig_strategy,
                NULL,
                NULL
            WHERE sized.has_profile IS NOT TRUE
        ) AS slice
            ON true
    )
    INSERT INTO reporting_ocp_gpu_summary_p (
        cluster_id,
        cluster_alias,
        namespace,
        node,
        usage_start,
        usage_end,
        vendor_name,
        model_name,
        memory_capacity_gb,
        gpu_count,
        gpu_max_slices,
        gpu_mode,
        mig_memory_capacity_gb,
        mig_profile,
        mig_slice_count,
        mig_strategy,
        gpu_uuid,
        mig_instance_id,
        cost_category_id,
        source_uuid
    )
    SELECT
        cluster.cluster_id,
        cluster.cluster_alias,
        card.namespace,
        card.node,
        card.usage_day,
        card.usage_day,
        card.vendor_name,
        card.model_name,
        max(card.memory_capacity_mib) * gb_per_mib,
        count(DISTINCT COALESCE(card.mig_instance_id, card.gpu_uuid)),
        max(card.max_slices),
        CASE WHEN card.mig_profile IS NULL THEN 'dedicated' ELSE 'MIG' END,
        max(card.mig_memory_capacity_mib) * gb_per_mib,
        card.mig_profile,
        max(card.mig_slice_count),
        max(card.mig_strategy),
        card.gpu_uuid,
        card.mig_instance_id,
        cost_category_of(card.namespace),
        source
    FROM cards AS card
    JOIN gristmill_source AS cluster
        ON cluster.source_uuid = source
    GROUP BY
        cluster.cluster_id,
        cluster.cluster_alias,
        card.usage_day,
        card.namespace,
        card.node,
        card.vendor_name,
        card.model_name,
        card.gpu_uuid,
        card.mig_profile,
        card.mig_instance_id;
END
$$;
