-- What a publish asks of tables that grow with every upload, found without reading all
-- of them: few rows are running, unfinished or additive, and few label sets are of machines.

CREATE INDEX gristmill_run_running_index ON gristmill_run (id) WHERE state = 'running';
CREATE INDEX gristmill_generation_unfinished_index ON gristmill_generation (source_uuid) WHERE state <> 'complete';
CREATE INDEX gristmill_label_set_machine_index ON gristmill_label_set (id) WHERE labels ? 'vm_kubevirt_io_name';
CREATE INDEX reporting_common_costusagereportmanifest_additive_index
    ON reporting_common_costusagereportmanifest (provider_id)
    WHERE is_additive;
