-- Which uploads add to a day. Those that are known already were taken for daily
-- ones, and stay so.

ALTER TABLE reporting_common_costusagereportmanifest
    ADD COLUMN is_additive boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN reporting_common_costusagereportmanifest.is_additive
    IS 'It holds only what is new since the upload before it, as operators before 3.0 wrote; others hold the day so far';
