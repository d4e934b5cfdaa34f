-- Routing decisions as they were made: every agency's every rule, and the score's parts.

CREATE TABLE routing_decision (
    id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    mode text NOT NULL CHECK (mode IN ('sequence', 'broadcast', 'manual', 'none')),
    snapshot json NOT NULL
);
COMMENT ON TABLE routing_decision IS 'Who could have taken a referral, in what order, and why the others not';
COMMENT ON COLUMN routing_decision.snapshot IS 'The Snapshot Struct of service.routing.model as JSON; needs and a region of a person, no identity';
CREATE INDEX routing_decision_referral ON routing_decision (referral_id, id);
ALTER TABLE routing_decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE routing_decision FORCE ROW LEVEL SECURITY;
CREATE POLICY routing_decision_hospital ON routing_decision USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT ON routing_decision TO yuanshe_app;
