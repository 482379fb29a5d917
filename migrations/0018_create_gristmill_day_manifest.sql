-- Whose rows make a day: one daily upload, or all additive ones of the day
-- together. The summary of a day is made of the rows of these manifests, of all
-- kinds of reports, and of no others.
--
-- Grain: one row per source, UTC day and manifest.

CREATE TABLE gristmill_day_manifest (
    source_uuid uuid NOT NULL,
    usage_day date NOT NULL,
    manifest_id integer NOT NULL REFERENCES reporting_common_costusagereportmanifest (id),
    PRIMARY KEY (source_uuid, usage_day, manifest_id),
    FOREIGN KEY (source_uuid, usage_day) REFERENCES gristmill_day (source_uuid, usage_day)
        ON UPDATE CASCADE ON DELETE CASCADE
);

-- Replay, retention and the staging views ask for the days of a manifest.
CREATE INDEX gristmill_day_manifest_manifest_id_index ON gristmill_day_manifest (manifest_id);
