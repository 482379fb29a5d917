-- The key of a place's tags begins with the place: rows come place by place, and the
-- index then grows at its end and nowhere else. Nobody looks for a tag by its uuid.
-- Both together took half of the time of loading 234,000 of them.

ALTER TABLE reporting_ocpusagepodlabel_summary
    DROP CONSTRAINT reporting_ocpusagepodlabel_summary_pkey,
    DROP CONSTRAINT reporting_ocpusagepodlabel_su_report_period_id_key_namespac_key,
    ADD CONSTRAINT reporting_ocpusagepodlabel_summary_place_key
        UNIQUE NULLS NOT DISTINCT (report_period_id, namespace, node, key);
