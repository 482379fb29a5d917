-- Says of files that were read past as being of no known kind that they are of a kind
-- which the pipeline of now ignores: nobody needs to be told of them any more.
--
-- Reads   reporting_common_costusagereportmanifest  one row per source and upload
-- Writes  reporting_common_costusagereportstatus    one row per manifest and file
--
-- $1  source_uuid  uuid    the source
-- $2  reports      text[]  the ignored kinds
-- $3  detects      text[]  the columns that each is known by, as a JSON array

WITH ignored_kinds AS (
    SELECT
        kind.report,
        ARRAY(SELECT jsonb_array_elements_text(kind.columns::jsonb)) AS columns
    FROM unnest($2::text[], $3::text[]) AS kind (report, columns)
)
UPDATE reporting_common_costusagereportstatus AS file
SET
    report = ignored.report,
    unknown_columns = NULL
FROM
    ignored_kinds AS ignored,
    reporting_common_costusagereportmanifest AS manifest
WHERE
    manifest.provider_id = $1
    AND file.manifest_id = manifest.id
    AND file.unknown_columns @> ignored.columns;
