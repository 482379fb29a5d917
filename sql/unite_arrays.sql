-- The elements of two arrays, each once and in order; a null element is one.
--
-- known  text[]  one array; null is as good as empty
-- seen   text[]  the other

CREATE OR REPLACE FUNCTION unite_arrays(known text[], seen text[])
RETURNS text[]
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
SELECT array_agg(DISTINCT element)
FROM unnest(known || seen) AS elements (element);
$$;
