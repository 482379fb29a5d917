-- Whoever forgets a generation looks for the files that were loaded for it.

CREATE INDEX reporting_common_costusagereportstatus_generation_index
    ON reporting_common_costusagereportstatus (generation);
