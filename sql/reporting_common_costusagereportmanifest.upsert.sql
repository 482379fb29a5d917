-- Records a manifest, once.
--
-- Writes  reporting_common_costusagereportmanifest  one row per source and upload
--
-- $1   assembly_id        text         the manifest's uuid
-- $2   provider_id        uuid         the source
-- $3   cluster_id         text         the cluster
-- $4   manifest_date      timestamptz  when the operator wrote it
-- $5   billing_period     timestamptz  first instant of its month
-- $6   num_total_files    integer      how many files it lists
-- $7   coverage_report    text         the report kind that decides a day
-- $8   operator_version   text
-- $9   cluster_channel    text
-- $10  certified          boolean
-- $11  airgapped          boolean
-- $12  daily_reports      boolean
-- $13  is_additive        boolean      it adds to its days
--
-- Returns the manifest's id, and whether it adds to its days: its first tarball said so.

INSERT INTO reporting_common_costusagereportmanifest AS manifest (
    assembly_id,
    provider_id,
    cluster_id,
    manifest_date,
    export_datetime,
    billing_period_start_datetime,
    num_total_files,
    coverage_report,
    operator_version,
    cluster_channel,
    operator_certified,
    operator_airgapped,
    operator_daily_reports,
    is_additive
)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
-- The update changes nothing; it is there so that the id comes back.
ON CONFLICT (provider_id, assembly_id) DO UPDATE
    SET assembly_id = manifest.assembly_id
RETURNING
    manifest.id,
    manifest.is_additive;
