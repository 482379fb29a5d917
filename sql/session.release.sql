-- Lets go of all locks of this session.
--
-- Reads  pg_stat_activity  when the session began
--
-- $1  seconds_max  double precision  how old a session may grow
--
-- Returns whether it is older: its temporary tables keep the server from forgetting old
-- transactions.

SELECT activity.backend_start < clock_timestamp() - make_interval(secs => $1)
FROM pg_stat_activity AS activity
CROSS JOIN LATERAL pg_advisory_unlock_all() AS unlocked
WHERE activity.pid = pg_backend_pid();
