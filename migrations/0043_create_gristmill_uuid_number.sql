-- The ends of uuids of rows that are made together, in order: indexes grow at one
-- place then. `next_uuid` makes them.
--
-- Of twelve hexadecimal digits, the first of which is not 0: nothing has to be padded.

CREATE SEQUENCE gristmill_uuid_number
    MINVALUE 17592186044416
    MAXVALUE 281474976710655
    CYCLE
    -- A session takes so many at once; what it does not use is lost.
    CACHE 1000;
