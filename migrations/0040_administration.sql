-- What an administrator looks at: how long each attempt took, how each subscription fares, when a program last came, and what a
-- dry run of the routing rules reads.

ALTER TABLE delivery_attempt ADD COLUMN took integer, ADD COLUMN subscriber_id uuid;
COMMENT ON COLUMN delivery_attempt.took IS 'Milliseconds until it was answered or given up; empty: nobody took the time';
COMMENT ON COLUMN delivery_attempt.subscriber_id IS 'Whose delivery it was of: so that a subscription''s health is found without its deliveries';
-- The owner is bound by the policies too.
SELECT set_config('yuanshe.platform', 'on', true);
UPDATE delivery_attempt a SET subscriber_id = d.subscriber_id FROM delivery d WHERE d.id = a.delivery_id;
SELECT set_config('yuanshe.platform', '', true);
-- Each attempt stands in one of them: those that arrived, and those that did not.
CREATE INDEX delivery_attempt_arrived ON delivery_attempt (subscriber_id, at) WHERE what = 'post' AND status BETWEEN 200 AND 299;
CREATE INDEX delivery_attempt_failed ON delivery_attempt (subscriber_id, at)
    WHERE what = 'post' AND (status IS NULL OR status NOT BETWEEN 200 AND 299);
CREATE INDEX delivery_lost ON delivery (subscriber_id, number) WHERE state = 'not-delivered' AND event_id IS NOT NULL;

ALTER TABLE client ADD COLUMN keys_changed_at timestamptz;
COMMENT ON COLUMN client.keys_changed_at IS 'When it was given the keys that it has; empty: when it was added';
GRANT UPDATE (keys_changed_at) ON client TO yuanshe_app;

-- Broken glasses, for who looks at what was done through them.
CREATE INDEX disclosure_glass ON disclosure (opened_at) WHERE basis = 'break-glass';

-- How referrals of a time were first routed, for a dry run over them.
CREATE INDEX routing_decision_time ON routing_decision (at, id);
