-- Reports ask for the events of a stretch of time.

-- The log is written in the order of its times, so a summary of its pages finds a stretch, and costs a writer next to nothing.
CREATE INDEX event_at ON event USING brin (at) WITH (pages_per_range = 32);
