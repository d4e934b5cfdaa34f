-- The event log. A verb's events commit with it; `position` is given later, by one sequencer, in commit order.

CREATE TABLE referral_counter (
    referral_id uuid PRIMARY KEY,
    last integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE referral_counter IS 'One row a referral, without any person in it: its row lock orders the moves of a referral, its number orders their events';
ALTER TABLE referral_counter SET (fillfactor = 70);

CREATE TABLE event (
    id uuid PRIMARY KEY,
    position bigint UNIQUE,
    referral_id uuid NOT NULL,
    number integer NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    by_role text NOT NULL,
    by_organization uuid NOT NULL,
    by_name text NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid,
    task_id uuid,
    task_version integer,
    reason_code text,
    reason_text text,
    sealed boolean NOT NULL DEFAULT false,
    data json NOT NULL DEFAULT '{}',
    UNIQUE (referral_id, number)
);
COMMENT ON TABLE event IS 'What happened, by whom, when and why; append-only, the outbox of all notices';
COMMENT ON COLUMN event.position IS 'Place in commit order, given by the sequencer; the only cursor of every reader';
COMMENT ON COLUMN event.number IS 'Place among the events of its referral';
CREATE INDEX event_unsequenced ON event (referral_id, number) WHERE position IS NULL;

ALTER TABLE event ENABLE ROW LEVEL SECURITY;
ALTER TABLE event FORCE ROW LEVEL SECURITY;
CREATE POLICY event_parties ON event USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON referral_counter TO yuanshe_app;
GRANT SELECT, INSERT ON event TO yuanshe_app;
GRANT UPDATE (position) ON event TO yuanshe_app;
