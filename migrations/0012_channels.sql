-- Notices by mail, heartbeats, time-outs, several events in one notice, and what a subscriber's client may read.

ALTER TABLE subscriber
    ADD COLUMN channel text NOT NULL DEFAULT 'rest-hook' CHECK (channel IN ('rest-hook', 'email')),
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{}',
    ADD COLUMN heartbeat integer CHECK (heartbeat > 0),
    ADD COLUMN timeout integer CHECK (timeout > 0),
    ADD COLUMN max_count integer CHECK (max_count > 0),
    ADD COLUMN beat_at timestamptz;
COMMENT ON COLUMN subscriber.channel IS 'How notices go out: posted to the endpoint, or mailed to it (mailto:)';
COMMENT ON COLUMN subscriber.scopes IS 'What its client was allowed when it asked; with what the client holds at the time, the most that a notice may show';
COMMENT ON COLUMN subscriber.heartbeat IS 'Seconds of silence after which it is told that there is no news; empty: never';
COMMENT ON COLUMN subscriber.timeout IS 'Seconds that one attempt may take; empty: the worker''s own limit';
COMMENT ON COLUMN subscriber.max_count IS 'The most events in one notice; more than 1: one notice at a time, in order; empty: one event each';
COMMENT ON COLUMN subscriber.beat_at IS 'When the next heartbeat is due unless something is sent before';
CREATE INDEX subscriber_beats ON subscriber (beat_at) WHERE state = 'active' AND beat_at IS NOT NULL;

ALTER TABLE delivery ADD COLUMN batch_id uuid;
COMMENT ON COLUMN delivery.batch_id IS 'The notice that tells of this event along with others: its webhook-id, the same at every attempt';
COMMENT ON COLUMN subscriber.state IS 'requested until the handshake is answered; error when that failed, or tries ran out, or the endpoint is gone; off when it ended';
CREATE INDEX delivery_in_order ON delivery (subscriber_id, number) WHERE state = 'waiting' AND event_id IS NOT NULL;
