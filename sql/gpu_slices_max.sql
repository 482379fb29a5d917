-- Into how many slices a model of GPU can be cut; null if we do not know it.
--
-- model  text  the model's name, as the summary shows it

CREATE OR REPLACE FUNCTION gpu_slices_max(model text)
RETURNS integer
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
SELECT known.slices_max
FROM (
    VALUES
        ('A30', 4, 1),
        ('A100', 7, 2),
        ('H100', 7, 3),
        ('H200', 7, 4),
        ('B200', 7, 5),
        ('RTX PRO 6000', 4, 6),
        ('RTX PRO 5000', 2, 7)
) AS known (name, slices_max, position)
WHERE strpos(upper(model), known.name) > 0
ORDER BY known.position
LIMIT 1;
$$;
