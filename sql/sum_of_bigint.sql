-- The sum of whole numbers of 64 bits as one of 64 bits; nulls do not count.
--
-- The sum that Postgres has for them never overflows, and for that keeps a wider
-- number in memory of its own for each group and measure. This one keeps it in
-- place, which takes half the time where there are many groups, and raises
-- numeric_value_out_of_range where a sum does not fit: callers fall back on `sum`.
--
-- number  bigint  one of them

CREATE OR REPLACE AGGREGATE sum_of_bigint(number bigint) (
    SFUNC = int8pl,
    STYPE = bigint,
    COMBINEFUNC = int8pl,
    PARALLEL = SAFE
);
