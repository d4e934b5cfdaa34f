-- Places in commit order, subscribers and what was sent to them, and the worker's sweeps and sign of life.

CREATE TABLE sequence_head (
    name text PRIMARY KEY,
    last bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE sequence_head IS 'The last position that a sequencer gave out; it outlives the rows, so that no position is given twice';
ALTER TABLE sequence_head SET (fillfactor = 10);
INSERT INTO sequence_head (name) VALUES ('event');
GRANT SELECT, UPDATE ON sequence_head TO yuanshe_app;

CREATE TABLE subscriber (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    client_id uuid NOT NULL,
    whole_network boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('requested', 'active', 'error', 'off')),
    endpoint text NOT NULL,
    secret text NOT NULL,
    headers text[] NOT NULL DEFAULT '{}',
    format text NOT NULL,
    topic text NOT NULL,
    about text NOT NULL CHECK (about IN ('any', 'task')),
    kinds text[] NOT NULL DEFAULT '{}',
    filters json NOT NULL DEFAULT '{}',
    cursor bigint NOT NULL,
    event_number bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    terms json NOT NULL DEFAULT '{}',
    ends_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
COMMENT ON TABLE subscriber IS 'Who wants to hear of events, and where';
COMMENT ON COLUMN subscriber.whole_network IS 'The platform hears of every event; others of those they are a party to';
COMMENT ON COLUMN subscriber.state IS 'requested until the handshake is answered; error when it was not; off when either side ended it';
COMMENT ON COLUMN subscriber.secret IS 'Signs every notice (Standard Webhooks, whsec_…); shown once, when it is made';
COMMENT ON COLUMN subscriber.headers IS 'Lines "Name: value" that the subscriber wants sent along; may hold its own credentials';
COMMENT ON COLUMN subscriber.format IS 'Which of the worker''s renderings writes the body';
COMMENT ON COLUMN subscriber.topic IS 'The topic in the subscriber''s own words, for the rendering';
COMMENT ON COLUMN subscriber.kinds IS 'Only these kinds of event; empty: all';
COMMENT ON COLUMN subscriber.filters IS 'Only events that have one of the listed values at each key: a key of their data, or a fact of their Task or request';
COMMENT ON COLUMN subscriber.terms IS 'The rest of what was asked for, in the words of the protocol that shows and renders it; no secret';
COMMENT ON COLUMN subscriber.ends_at IS 'When it ends by itself';
COMMENT ON COLUMN subscriber.cursor IS 'Position up to which deliveries were made';
COMMENT ON COLUMN subscriber.event_number IS 'How many events concerned it since it subscribed, delivered or not';
COMMENT ON COLUMN subscriber.failures IS 'Posts in a row that failed';
CREATE INDEX subscriber_listed ON subscriber (organization_id, id);
CREATE INDEX subscriber_client ON subscriber (client_id) WHERE state <> 'off';
CREATE INDEX subscriber_behind ON subscriber (cursor) WHERE state <> 'off';
ALTER TABLE subscriber SET (fillfactor = 50);

CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    subscriber_id uuid NOT NULL REFERENCES subscriber,
    organization_id uuid NOT NULL,
    event_id uuid,
    position bigint,
    task_id uuid,
    parent_id uuid,
    request_id uuid,
    number bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'not-delivered')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    last_status integer,
    last_error text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    UNIQUE (subscriber_id, position),
    CHECK ((event_id IS NULL) = (position IS NULL)),
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);
COMMENT ON TABLE delivery IS 'One notice to one subscriber; its id is the webhook-id of every attempt';
COMMENT ON COLUMN delivery.event_id IS 'Empty: the handshake';
COMMENT ON COLUMN delivery.task_id IS 'The Task that the event is about, as far as the subscriber''s filters are met by it; else the parent';
COMMENT ON COLUMN delivery.parent_id IS 'The referral''s parent Task, where the subscriber may read it';
COMMENT ON COLUMN delivery.request_id IS 'The request that the subscriber knows: the placer''s for hospital and platform, the share''s own for an agency';
COMMENT ON COLUMN delivery.number IS 'Place among the subscriber''s events, from 1; 0 is a handshake';
COMMENT ON COLUMN delivery.next_at IS 'When to try next; while an attempt runs, when it would be taken for lost';
COMMENT ON COLUMN delivery.last_error IS 'One word of ours; nothing that the subscriber said';
CREATE UNIQUE INDEX delivery_number ON delivery (subscriber_id, number) WHERE event_id IS NOT NULL;
CREATE INDEX delivery_due ON delivery (subscriber_id, next_at, number) WHERE state = 'waiting';
CREATE INDEX delivery_listed ON delivery (created_at DESC, id DESC);
CREATE INDEX delivery_of_state ON delivery (state, created_at DESC, id DESC);
CREATE INDEX delivery_of_organization ON delivery (organization_id, created_at DESC, id DESC);

CREATE TABLE delivery_attempt (
    delivery_id uuid NOT NULL REFERENCES delivery,
    organization_id uuid NOT NULL,
    at timestamptz NOT NULL,
    what text NOT NULL CHECK (what IN ('post', 'resend')),
    status integer,
    error text,
    by_id uuid,
    by_role text,
    by_name text
);
COMMENT ON TABLE delivery_attempt IS 'Each post and what came of it, and each wish of a person to send again; append-only';
CREATE INDEX delivery_attempt_listed ON delivery_attempt (delivery_id, at);

ALTER TABLE subscriber ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriber FORCE ROW LEVEL SECURITY;
CREATE POLICY subscriber_own ON subscriber USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY delivery_own ON delivery USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
ALTER TABLE delivery_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE delivery_attempt FORCE ROW LEVEL SECURITY;
CREATE POLICY delivery_attempt_own ON delivery_attempt USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON subscriber, delivery TO yuanshe_app;
GRANT SELECT, INSERT ON delivery_attempt TO yuanshe_app;

CREATE TABLE sweep (
    name text PRIMARY KEY,
    last_at timestamptz NOT NULL
);
COMMENT ON TABLE sweep IS 'When each sweep last ran; its row lock keeps two workers from running one sweep at once';
CREATE TABLE worker_heartbeat (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL,
    at timestamptz NOT NULL
);
COMMENT ON TABLE worker_heartbeat IS 'One row a running worker; one that grows old belongs to a worker that died';
GRANT SELECT, INSERT, UPDATE ON sweep TO yuanshe_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON worker_heartbeat TO yuanshe_app;

-- An offer without an owner concerns every agency that may claim it: their event streams show it, too.
ALTER POLICY event_parties ON event USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
    OR (agency_id IS NULL AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = event.task_id
        AND o.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
);
