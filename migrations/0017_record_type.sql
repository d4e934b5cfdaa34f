-- Whoever sees everybody's resources finds those of one type by an index, however few they are among all.

CREATE INDEX record_type ON record (type, id) WHERE current;
COMMENT ON INDEX record_type IS 'Lists and exports of one type for the platform; the sides have indexes of their own';
