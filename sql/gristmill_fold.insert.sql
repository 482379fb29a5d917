-- Records that an engine folded hours of a generation.
--
-- Writes  gristmill_fold  one row per run, generation and staging table
--
-- $1  run_id         bigint            the run
-- $2  generation     bigint            its generation
-- $3  staging_table  text              the table whose hours were folded
-- $4  engine         text              the engine
-- $5  days           date[]            the UTC days that they are of
-- $6  rows           bigint            the hourly rows
-- $7  part_rows      bigint            the rows that they became
-- $8  seconds        double precision  the time that it took

INSERT INTO gristmill_fold (run_id, generation, staging_table, engine, days, rows, part_rows, seconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
