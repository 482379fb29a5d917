-- Says how many sessions we may have in all, those that others have taken off.
--
-- Reads  pg_roles, pg_database  what the role and the database may have
-- Reads  pg_stat_activity       one row per session, of which we see whose it is
--
-- Limits of roles and databases do not bind a superuser; null is no limit. How many
-- others the server has is known roughly: helpers of their queries count as well.

WITH others AS (
    -- One row: the sessions beside this one.
    SELECT
        count(*) FILTER (WHERE activity.usename = session_user AND activity.leader_pid IS NULL) AS of_role,
        count(*) FILTER (WHERE activity.datname = current_database() AND activity.usename IS NOT NULL) AS of_database,
        count(*) FILTER (WHERE activity.datname IS NOT NULL) AS of_server
    FROM pg_stat_activity AS activity
    WHERE activity.pid <> pg_backend_pid()
)
SELECT
    role.rolname::text AS role,
    database.datname::text AS database,
    CASE
        WHEN role.rolconnlimit >= 0 AND NOT role.rolsuper
            THEN role.rolconnlimit - others.of_role
    END AS of_role,
    CASE
        WHEN database.datconnlimit >= 0 AND NOT role.rolsuper
            THEN database.datconnlimit - others.of_database
    END AS of_database,
    current_setting('max_connections')::bigint
        - CASE WHEN role.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::bigint END
        - others.of_server AS of_server
FROM others
JOIN pg_roles AS role
    ON role.rolname = session_user
JOIN pg_database AS database
    ON database.datname = current_database();
