-- Lists which pipelines made each day, and with which components.
--
-- Reads  gristmill_day        one row per source and UTC day
-- Reads  gristmill_run_stage  one row per run, report kind and position
--
-- Returns one row per source and day. `components` has a digest for each of the sets of
-- components and configurations; those of runs whose records are gone are not known.

SELECT
    day.source_uuid,
    day.usage_day,
    day.pipelines,
    day.run_ids,
    ARRAY(
        SELECT DISTINCT
            md5(
                string_agg(
                    concat_ws(' ', made.report, made.position, made.component_digest, made.config),
                    E'\n' ORDER BY made.report, made.position
                )
            )
        FROM gristmill_run_stage AS made
        WHERE made.run_id = ANY (day.run_ids)
        GROUP BY made.run_id
        ORDER BY 1
    ) AS components
FROM gristmill_day AS day
ORDER BY
    day.source_uuid,
    day.usage_day;
