-- Lists what people had done, the newest first.
--
-- Reads  gristmill_action  one row per command that changed something
--
-- $1  actions_max  bigint  so many

SELECT
    id,
    done_at,
    command,
    subject,
    details,
    system_user,
    database_role
FROM gristmill_action
ORDER BY id DESC
LIMIT $1;
