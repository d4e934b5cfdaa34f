-- What a coordinator and a supervisor look at: who waits for nobody, what is late, what to sign, and who has seen an escalation.

-- The board: nobody's first (to be placed, to be claimed, questions that nobody answers), then whatever is due, soonest first, whoever owes it.
CREATE INDEX next_step_nobodys ON next_step (by, referral_id) WHERE what IN ('place', 'claim', 'answer');
CREATE INDEX next_step_by ON next_step (by, referral_id);
-- Asked by every page of a signed-in person: crises that nobody has acknowledged.
CREATE INDEX next_step_unacknowledged ON next_step (by, referral_id) WHERE what = 'acknowledge';
CREATE INDEX next_step_escalated ON next_step (agency_id, by, referral_id) WHERE reminded >= 2;
CREATE INDEX next_step_escalated_far ON next_step (by, referral_id) WHERE reminded >= 2;
CREATE INDEX referral_crisis_up ON referral (crisis_at, id) WHERE crisis IS NOT NULL;
-- Calls to an organisation that nobody of it has answered.
CREATE INDEX page_unanswered ON page (organization_id, referral_id) WHERE acknowledged_at IS NULL AND state IN ('waiting', 'sent');
CREATE INDEX page_referral ON page (referral_id, raised_at, place);
-- An agency's open work by its time, for the lists behind the figures.
CREATE INDEX open_task_due ON open_task (agency_id, due_at, task_id);
CREATE INDEX case_file_going ON case_file (agency_id, id) WHERE phase <> 'archive';
CREATE INDEX case_file_lacking ON case_file (agency_id, id) WHERE closed_at IS NULL AND present < required;
CREATE INDEX case_plan_review ON case_plan (agency_id, review_at, id) WHERE status = 'active' AND review_at IS NOT NULL;
CREATE INDEX hand_over_agency ON hand_over (agency_id, id DESC);

CREATE TABLE escalation_seen (
    referral_id uuid NOT NULL,
    organization_id uuid NOT NULL REFERENCES organization (id),
    what text NOT NULL,
    since timestamptz NOT NULL,
    by_id uuid NOT NULL,
    by_name text NOT NULL,
    at timestamptz NOT NULL,
    note text,
    PRIMARY KEY (referral_id, organization_id, what, since)
);
COMMENT ON TABLE escalation_seen IS 'Somebody to whom the clock escalated a late step has seen it: it stays late, and is no longer looked for; the step ends it';
COMMENT ON COLUMN escalation_seen.organization_id IS 'Whose supervisor or coordinator has seen it: each organisation sees to it for itself';
COMMENT ON COLUMN escalation_seen.since IS 'Since when the step is owed, as next_step says it: with `what` it is this step and no later one';
COMMENT ON COLUMN escalation_seen.note IS 'What they will do about it; read by their own organisation and the platform';
ALTER TABLE escalation_seen ENABLE ROW LEVEL SECURITY;
ALTER TABLE escalation_seen FORCE ROW LEVEL SECURITY;
CREATE POLICY escalation_seen_own ON escalation_seen USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE case_return (
    id uuid PRIMARY KEY,
    case_id uuid NOT NULL REFERENCES case_file,
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    document text NOT NULL,
    subject_id uuid NOT NULL,
    subject_version integer NOT NULL,
    supervisor_id uuid NOT NULL,
    by_id uuid NOT NULL,
    at timestamptz NOT NULL,
    words text NOT NULL CHECK (words <> '')
);
COMMENT ON TABLE case_return IS 'A supervisor gave one version of a document back with words, in place of signing it; never changed, a later version is looked at again';
COMMENT ON COLUMN case_return.words IS 'What is to be changed: the agency''s own, like every note of a case';
CREATE INDEX case_return_task ON case_return (task_id, at);
ALTER TABLE case_return ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_return FORCE ROW LEVEL SECURITY;
CREATE POLICY case_return_own ON case_return USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT ON escalation_seen, case_return TO yuanshe_app;
