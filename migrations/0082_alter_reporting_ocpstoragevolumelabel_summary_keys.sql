-- As of pods: the key begins with the place, and nobody looks for a tag by its uuid.

ALTER TABLE reporting_ocpstoragevolumelabel_summary
    DROP CONSTRAINT reporting_ocpstoragevolumelabel_summary_pkey,
    DROP CONSTRAINT reporting_ocpstoragevolumelab_report_period_id_key_namespac_key,
    ADD CONSTRAINT reporting_ocpstoragevolumelabel_summary_place_key
        UNIQUE NULLS NOT DISTINCT (report_period_id, namespace, node, key);
