-- Its rows are in reporting_ocpusagelineitem_pod_staging, and nothing refers to it any more.

DROP TABLE reporting_ocpusagelineitem_pod_staging_text;
