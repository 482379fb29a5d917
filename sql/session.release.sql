-- Lets go of all locks of this session.
--
-- Reads  pg_stat_get_activity  when the session began; the view reads two more tables
--
-- $1  seconds_max  double precision  how old a session may grow
--
-- Returns whether it is older: its temporary tables keep the server from forgetting old
-- transactions.

SELECT activity.backend_start < clock_timestamp() - make_interval(secs => $1)
FROM pg_stat_get_activity(pg_backend_pid()) AS activity
CROSS JOIN LATERAL pg_advisory_unlock_all() AS unlocked;
