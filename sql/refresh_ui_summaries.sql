-- Makes the tables that reports read, of some days, from the daily summary. Which
-- GPUs there were is not in there: that is refresh_gpu_summary.
--
-- Reads   reporting_ocpusagelineitem_daily_summary  one row per contribution
-- Writes  reporting_ocp_*_summary_p                 as the refresh_… functions do
--
-- days    date[]  the UTC days
-- source  uuid    the source

CREATE OR REPLACE FUNCTION refresh_ui_summaries(days date[], source uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_cost_summaries_by_place(days, source);
    PERFORM refresh_cost_summary(days, source);
    PERFORM refresh_pod_summary_by_node(days, source);
    PERFORM refresh_pod_summary(days, source);
    PERFORM refresh_pod_summary_by_project(days, source);
    PERFORM refresh_volume_summary(days, source);
    PERFORM refresh_volume_summary_by_project(days, source);
    PERFORM refresh_network_summaries(days, source);
    PERFORM refresh_vm_summary(days, source);
END
$$;
