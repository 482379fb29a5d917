-- What people had done that no payload asks for: who did it, when and with which command.
-- `gristmill log` shows it. Nothing is ever removed from it, also when what it tells of is
-- gone.
--
-- Grain: one row per command that changed something.

CREATE TABLE gristmill_action (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    command text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    system_user text NOT NULL,
    database_role text NOT NULL DEFAULT session_user
);

COMMENT ON COLUMN gristmill_action.command IS 'Without arguments: days remove';
COMMENT ON COLUMN gristmill_action.subject IS 'What it was done to, in words';
COMMENT ON COLUMN gristmill_action.details IS 'An object of what else there is to know, such as how many rows of which table went';
COMMENT ON COLUMN gristmill_action.system_user IS 'Who ran the command, by the operating system';
COMMENT ON COLUMN gristmill_action.database_role IS 'Who had logged in to the database';
