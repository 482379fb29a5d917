-- Records what somebody had done, in the transaction that does it.
--
-- Writes  gristmill_action  one row per command that changed something
--
-- $1  command      text   the command, without arguments
-- $2  subject      text   what it was done to
-- $3  details      jsonb  an object of what else there is to know
-- $4  system_user  text   who ran the command, by the operating system

INSERT INTO gristmill_action (command, subject, details, system_user)
VALUES ($1, $2, $3, $4);
