-- Answers without an account: the links by which a partner agency accepts, declines, asks, or returns what it accepted.

CREATE TABLE answer_link (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    id uuid NOT NULL UNIQUE,
    subscriber_id uuid NOT NULL REFERENCES subscriber,
    delivery_id uuid NOT NULL,
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    action text NOT NULL CHECK (action IN ('accept', 'decline', 'ask', 'return')),
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    UNIQUE (delivery_id, task_id, action)
);
COMMENT ON TABLE answer_link IS 'Links in notices by which an agency answers an offer without an account, each for one act, once; ids alone, no person in it, so no row security: it is read before anybody is known';
COMMENT ON COLUMN answer_link.hash IS 'SHA-256 of the token in the link: who reads this table can use none of them';
COMMENT ON COLUMN answer_link.id IS 'Who acts by it, in events and audit';
COMMENT ON COLUMN answer_link.subscriber_id IS 'Whose secret signed it; a subscription that is off has no links any more';
COMMENT ON COLUMN answer_link.delivery_id IS 'The notice that it stands in';
COMMENT ON COLUMN answer_link.expires_at IS 'The offer''s reply limit; of a return the end of the grace time';
CREATE INDEX answer_link_expired ON answer_link (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON answer_link TO yuanshe_app;

-- Who acts by a link is neither a program nor a person with an account.
ALTER TABLE audit DROP CONSTRAINT audit_actor_kind_check;
ALTER TABLE audit ADD CONSTRAINT audit_actor_kind_check CHECK (actor_kind IN ('client', 'person', 'system', 'link'));

-- The ledger of contact attempts: what came of each in a code, whether word was left, and which rule of safe contact it broke.
ALTER TABLE contact_attempt ADD COLUMN result text;
ALTER TABLE contact_attempt ADD COLUMN broke text;
COMMENT ON COLUMN contact_attempt.result IS 'A code of urn:yuanshe:contact-result; empty: recorded before there were any';
COMMENT ON COLUMN contact_attempt.broke IS 'A code of urn:yuanshe:contact-rule: what is done is written down, and a supervisor looks at it';
-- Whether everything was tried is asked of a referral, across its windows.
CREATE INDEX contact_attempt_referral ON contact_attempt (referral_id, at, id);

-- Follow-ups by their owners, for the figures of a period.
CREATE INDEX task_follow_ups_of_hospital ON task (hospital_id, id) WHERE kind = 'follow-up';
CREATE INDEX task_follow_ups_of_agency ON task (agency_id, id) WHERE kind = 'follow-up';

-- A recurring visit plan: who has to be seen how often, and when next; a visit that did not take place is told.
CREATE TABLE visit_plan (
    task_id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    every_days integer NOT NULL CHECK (every_days BETWEEN 1 AND 92),
    next_at timestamptz NOT NULL,
    ended_at timestamptz,
    set_by uuid NOT NULL,
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE visit_plan IS 'How often the person of a share is to be visited (domain row 43); one a share';
COMMENT ON COLUMN visit_plan.next_at IS 'When the next visit is wanted; moves on by itself, whether or not it took place';
CREATE INDEX visit_plan_due ON visit_plan (next_at) WHERE ended_at IS NULL;
ALTER TABLE visit_plan ENABLE ROW LEVEL SECURITY;
ALTER TABLE visit_plan FORCE ROW LEVEL SECURITY;
CREATE POLICY visit_plan_own ON visit_plan USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON visit_plan TO yuanshe_app;
