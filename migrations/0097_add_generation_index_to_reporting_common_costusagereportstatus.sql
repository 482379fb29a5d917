-- The foreign key: a generation that is forgotten is looked for here.
CREATE INDEX reporting_common_costusagereportstatus_generation_index
    ON reporting_common_costusagereportstatus (generation);
