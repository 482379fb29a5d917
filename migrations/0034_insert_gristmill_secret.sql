-- The secret of this schema. Each uuid has 122 bits of the source of chance that
-- Postgres takes passwords' salt from; three of them have more than the digest keeps.

INSERT INTO gristmill_secret (secret)
SELECT sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);
