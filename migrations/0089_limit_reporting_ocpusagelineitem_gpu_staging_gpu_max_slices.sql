-- The summary has slices as an integer. The host reads this, and puts rows with other
-- numbers into quarantine; rows that are there already stay.

ALTER TABLE reporting_ocpusagelineitem_gpu_staging
    ADD CONSTRAINT reporting_ocpusagelineitem_gpu_staging_gpu_max_slices_check
        CHECK (gpu_max_slices_e6 BETWEEN -2147483648000000 AND 2147483647000000) NOT VALID;
