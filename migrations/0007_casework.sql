-- The agency's own work: cases, interventions, and the attempts to reach a person after discharge.

CREATE TABLE case_file (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    referral_id uuid NOT NULL,
    task_id uuid NOT NULL UNIQUE,
    agency_id uuid NOT NULL,
    patient_id uuid,
    worker_id uuid,
    phase text NOT NULL CHECK (phase IN ('intake', 'assessment', 'plan', 'intervention', 'evaluation', 'closure', 'archive')),
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    ending text CHECK (ending IN ('complete', 'return', 'fail', 'confirm-cancel')),
    reason_code text,
    reason_text text,
    CHECK ((closed_at IS NULL) = (ending IS NULL))
);
COMMENT ON TABLE case_file IS 'An agency''s case (个案), opened when it accepts a share; its own and nobody else''s to read';
COMMENT ON COLUMN case_file.patient_id IS 'Empty until identity was disclosed; kept afterwards, the agency''s own work stays';
COMMENT ON COLUMN case_file.ending IS 'The move that closed it; reason_code is of that move''s list';
ALTER TABLE case_file SET (fillfactor = 80);
CREATE INDEX case_file_open ON case_file (agency_id, id) WHERE closed_at IS NULL;
ALTER TABLE case_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_file FORCE ROW LEVEL SECURITY;
CREATE POLICY case_file_own ON case_file USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE intervention (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    case_id uuid NOT NULL REFERENCES case_file,
    task_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    worker_id uuid,
    service_type text NOT NULL,
    method text NOT NULL,
    status text NOT NULL CHECK (status IN ('preparation', 'in-progress', 'not-done', 'on-hold', 'stopped', 'completed', 'entered-in-error', 'unknown')),
    started_at timestamptz,
    ended_at timestamptz,
    minutes integer CHECK (minutes >= 0),
    place text,
    outcome text,
    recorded_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (ended_at >= started_at),
    CHECK (started_at IS NOT NULL OR status NOT IN ('in-progress', 'completed'))
);
COMMENT ON TABLE intervention IS 'What an agency did with or for a person (Procedure); the received resource is in record, which the hospital reads only as an output';
COMMENT ON COLUMN intervention.recorded_at IS 'When it was first written down: a note is late a day after the contact';
CREATE INDEX intervention_task ON intervention (task_id, id);
CREATE INDEX intervention_case ON intervention (case_id);
ALTER TABLE intervention ENABLE ROW LEVEL SECURITY;
ALTER TABLE intervention FORCE ROW LEVEL SECURITY;
CREATE POLICY intervention_own ON intervention USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE contact_attempt (
    id uuid PRIMARY KEY,
    task_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    worker_id uuid,
    channel text NOT NULL,
    at timestamptz NOT NULL,
    reached boolean NOT NULL,
    reason_code text,
    reason_text text,
    recorded_at timestamptz NOT NULL,
    CHECK (reached OR reason_code IS NOT NULL OR reason_text IS NOT NULL)
);
COMMENT ON TABLE contact_attempt IS 'One try to reach a person for a follow-up; read by the organisation that made it alone, the outcome stands in the Task';
COMMENT ON COLUMN contact_attempt.owner_id IS 'The follow-up''s owner that tried: an agency, or the hospital for its own follow-ups';
COMMENT ON COLUMN contact_attempt.reached IS 'Two-way contact came about';
CREATE INDEX contact_attempt_task ON contact_attempt (task_id, at, id);
ALTER TABLE contact_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_attempt FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_attempt_own ON contact_attempt USING (
    owner_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON case_file, intervention TO yuanshe_app;
GRANT SELECT, INSERT ON contact_attempt TO yuanshe_app;
