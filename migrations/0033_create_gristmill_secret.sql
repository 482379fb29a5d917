-- The secret with which ids of names and label sets are made from their text, so that nobody
-- from outside can make two texts of one id. It never changes: other ids would come
-- of the same texts, and rows are grouped by ids.
--
-- Grain: one row.

CREATE TABLE gristmill_secret (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32)
);

COMMENT ON TABLE gristmill_secret IS 'For its owner alone: who reads it can make names that keep others from being stored';
COMMENT ON COLUMN gristmill_secret.secret IS 'By chance, of this schema alone';

-- A new table is its owner's alone, but where default privileges say otherwise.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT
            CASE
                WHEN privilege.grantee = 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(privilege.grantee))
            END
        FROM pg_class
        CROSS JOIN aclexplode(pg_class.relacl) AS privilege
        WHERE
            pg_class.oid = 'gristmill_secret'::regclass
            AND privilege.grantee <> pg_class.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON gristmill_secret FROM %s', grantee);
    END LOOP;
END
$$;
