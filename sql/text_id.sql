-- The id of a text that is stored once: the first eight bytes of the SHA-256 of a
-- secret and the text. Who does not know the secret cannot make two texts of one id.
--
-- Nobody is shown the rest of the digest, without which it cannot be carried on to
-- that of a longer text: that is what a plain digest behind a secret would be open to.
--
-- secret       bytea  that of gristmill_secret
-- stored_text  text   a name, or the canonical JSON of labels

CREATE OR REPLACE FUNCTION text_id(secret bytea, stored_text text)
RETURNS bigint
LANGUAGE sql
STABLE
PARALLEL SAFE
AS $$
SELECT ('x' || left(encode(sha256(secret || convert_to(stored_text, 'UTF8')), 'hex'), 16))::bit(64)::bigint;
$$;
