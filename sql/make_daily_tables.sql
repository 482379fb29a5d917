-- Makes the tables of a day that is being summarised, those of the day empty. What they hold is
-- said here and nowhere else: the collect_daily_… functions fill them, and whoever names
-- one of them among what it reads is called behind these.
--
-- Writes  pg_temp.daily_pods        one row per namespace, node, pod, own label set and machine
-- Writes  pg_temp.daily_volumes     one row per volume, claim, pod and own label sets
-- Writes  pg_temp.daily_nodes       one row per node with pods, the blank one included
-- Writes  pg_temp.daily_namespaces  one row per namespace
-- Writes  pg_temp.volume_drivers    one row per day, volume and driver; those of earlier days stay
--
-- Measures are fixed-point integers, as in staging. What is in the tables lasts to the next
-- call or the end of the transaction, the tables as long as the session: new ones for each
-- day would stay locked to the end of the transaction, and the table of locks has room for
-- some thousands; and plans last as long as the tables that they read.

CREATE OR REPLACE FUNCTION make_daily_tables()
RETURNS void
LANGUAGE plpgsql
-- They are there when this is not the session's first day.
SET client_min_messages = warning
AS $$
BEGIN
    -- A day had more than 64 bits of a sum.
    IF EXISTS (
        SELECT
        FROM pg_attribute AS attribute
        WHERE
            attribute.attrelid = to_regclass('pg_temp.daily_pods')
            AND attribute.attname = 'pod_usage_cpu_core_hours_e12'
            AND attribute.atttypid = 'numeric'::regtype
    ) THEN
        DROP TABLE pg_temp.daily_pods;
    END IF;

    -- A pod has one machine, but that of a node may change or be unknown for hours:
    -- whoever wants one a pod takes the last. Sums are bigint, which are added up faster;
    -- collect_daily_pods makes them numeric on a day that has more than 64 bits of one.
    CREATE TEMPORARY TABLE IF NOT EXISTS daily_pods (
        namespace varchar(253),
        node varchar(253),
        pod text,
        pod_labels_id bigint,
        resource_id varchar(253),
        node_capacity_cpu_cores_e12 bigint,
        node_capacity_memory_gigabytes_e12 bigint,
        pod_usage_cpu_core_hours_e12 bigint,
        pod_request_cpu_core_hours_e12 bigint,
        pod_limit_cpu_core_hours_e12 bigint,
        pod_effective_usage_cpu_core_hours_e12 bigint,
        pod_usage_memory_gigabyte_hours_e12 bigint,
        pod_request_memory_gigabyte_hours_e12 bigint,
        pod_limit_memory_gigabyte_hours_e12 bigint,
        pod_effective_usage_memory_gigabyte_hours_e12 bigint
    ) ON COMMIT DELETE ROWS;

    CREATE TEMPORARY TABLE IF NOT EXISTS daily_volumes (
        namespace varchar(253),
        pod text,
        persistentvolumeclaim varchar(253),
        persistentvolume varchar(253),
        storageclass varchar(253),
        csi_volume_handle text,
        persistentvolume_labels_id bigint,
        persistentvolumeclaim_labels_id bigint,
        capacity_gigabytes_e12 bigint,
        capacity_gigabyte_months_e12 numeric,
        request_gigabyte_months_e12 numeric,
        usage_gigabyte_months_e12 numeric
    ) ON COMMIT DELETE ROWS;

    -- Labels are those of the node's last hour.
    CREATE TEMPORARY TABLE IF NOT EXISTS daily_nodes (
        node text,
        cpu_core_hours_e12 numeric,
        memory_gigabyte_hours_e12 numeric,
        node_role text,
        labels jsonb,
        node_role_label text,
        architecture text
    ) ON COMMIT DELETE ROWS;

    -- Labels are those of the namespace's last hour.
    CREATE TEMPORARY TABLE IF NOT EXISTS daily_namespaces (
        namespace varchar(253),
        labels jsonb,
        cost_category_id integer
    ) ON COMMIT DELETE ROWS;

    -- Of all days that are made together: refresh_cloud_hint reads it, and empties it.
    CREATE TEMPORARY TABLE IF NOT EXISTS volume_drivers (
        csi_driver text,
        persistentvolume varchar(253)
    ) ON COMMIT DELETE ROWS;

    -- Of an earlier day of the transaction.
    IF EXISTS (SELECT FROM pg_temp.daily_pods)
        OR EXISTS (SELECT FROM pg_temp.daily_volumes)
        OR EXISTS (SELECT FROM pg_temp.daily_nodes)
        OR EXISTS (SELECT FROM pg_temp.daily_namespaces)
    THEN
        TRUNCATE
            pg_temp.daily_pods,
            pg_temp.daily_volumes,
            pg_temp.daily_nodes,
            pg_temp.daily_namespaces;
    END IF;
END
$$;
