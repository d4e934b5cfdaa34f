-- Referrals, their Tasks with every version, the next step of each open one, and the submissions that made them.

CREATE TABLE submission (
    hospital_id uuid NOT NULL,
    system text NOT NULL,
    value text NOT NULL,
    digest bytea NOT NULL,
    referral_id uuid NOT NULL,
    locations text[] NOT NULL,
    PRIMARY KEY (hospital_id, value, system)
);
COMMENT ON TABLE submission IS 'The placer''s number of a referral, once: the unique key against double submission';
COMMENT ON COLUMN submission.digest IS 'SHA-256 of the whole submission in canonical form';
COMMENT ON COLUMN submission.locations IS 'What each entry was stored as, for the answer to the same submission again';
ALTER TABLE submission ENABLE ROW LEVEL SECURITY;
ALTER TABLE submission FORCE ROW LEVEL SECURITY;
CREATE POLICY submission_parties ON submission USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE referral (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    hospital_id uuid NOT NULL,
    placer_system text NOT NULL,
    placer_value text NOT NULL,
    patient_id uuid NOT NULL,
    stay_id uuid,
    parent_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'active', 'on-hold', 'revoked', 'completed', 'entered-in-error')),
    needs text[] NOT NULL,
    urgency text NOT NULL CHECK (urgency IN ('routine', 'urgent', 'asap', 'stat')),
    effective_urgency text NOT NULL CHECK (effective_urgency IN ('routine', 'urgent', 'asap', 'stat')),
    region text,
    language text,
    age_band text NOT NULL,
    gender text NOT NULL,
    preferred_agency uuid,
    contact_prohibited boolean NOT NULL DEFAULT false,
    replaces uuid,
    crisis text CHECK (crisis IN ('raised', 'acknowledged', 'safety-planned', 'reported')),
    crisis_at timestamptz,
    crisis_by timestamptz,
    crisis_owner text CHECK (crisis_owner IN ('hospital', 'agency', 'coordinator')),
    follow_up boolean NOT NULL DEFAULT false,
    open boolean NOT NULL,
    reason_code text,
    reason_text text,
    received integer NOT NULL,
    authored_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((crisis IS NULL) = (crisis_by IS NULL AND crisis_at IS NULL))
);
COMMENT ON TABLE referral IS 'The need, as the hospital placed it';
COMMENT ON COLUMN referral.effective_urgency IS 'The placer''s urgency, raised by the need''s floor or a crisis';
COMMENT ON COLUMN referral.follow_up IS 'Follow-ups are pending';
COMMENT ON COLUMN referral.open IS 'The parent Task is not terminal, follow-ups are pending, or a crisis is up';
CREATE INDEX referral_open_patient ON referral (patient_id) WHERE open;
CREATE INDEX referral_hospital ON referral (hospital_id, id);
CREATE INDEX referral_stay ON referral (stay_id) WHERE stay_id IS NOT NULL;
ALTER TABLE referral SET (fillfactor = 80);
ALTER TABLE referral ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_parties ON referral USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = referral.id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE referral_version (
    referral_id uuid NOT NULL,
    version integer NOT NULL,
    hospital_id uuid NOT NULL,
    at timestamptz NOT NULL,
    snapshot json NOT NULL,
    PRIMARY KEY (referral_id, version)
);
COMMENT ON TABLE referral_version IS 'Every version of a placer''s request';
ALTER TABLE referral_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral_version FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_version_parties ON referral_version USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = referral_version.referral_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE task (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('parent', 'share', 'follow-up')),
    version integer NOT NULL,
    referral_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid,
    worker_id uuid,
    status text NOT NULL CHECK (status IN ('draft', 'requested', 'accepted', 'rejected', 'cancelled', 'in-progress', 'on-hold', 'completed', 'failed', 'entered-in-error')),
    business_status text,
    urgency text NOT NULL,
    urgency_rank smallint NOT NULL,
    needs text[] NOT NULL,
    patient_id uuid,
    stand_in_id uuid,
    filler_id uuid,
    due_at timestamptz,
    open boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK (open = (status NOT IN ('rejected', 'cancelled', 'completed', 'failed', 'entered-in-error'))),
    CHECK (open = (ended_at IS NULL)),
    CHECK (kind <> 'share' OR (stand_in_id IS NOT NULL AND filler_id IS NOT NULL)),
    CHECK (kind <> 'parent' OR patient_id IS NOT NULL)
);
COMMENT ON TABLE task IS 'One row a Task: the parent, an agency''s share, a follow-up. What lists need is in columns, the whole in the current version';
COMMENT ON COLUMN task.agency_id IS 'The agency that owns a share or a follow-up; empty: an offer open to every eligible partner, a parent, or a hospital''s own follow-up';
COMMENT ON COLUMN task.patient_id IS 'The real person: in a share only while identity is disclosed';
COMMENT ON COLUMN task.urgency_rank IS '0 stat, 1 asap, 2 urgent, 3 routine: ascending is most urgent first';
ALTER TABLE task SET (fillfactor = 70);
CREATE INDEX task_referral ON task (referral_id, kind, id);
CREATE UNIQUE INDEX task_filler ON task (filler_id) WHERE filler_id IS NOT NULL;
CREATE UNIQUE INDEX task_stand_in ON task (stand_in_id) WHERE stand_in_id IS NOT NULL;
CREATE UNIQUE INDEX task_one_live_share ON task (referral_id, agency_id) WHERE kind = 'share' AND open;
CREATE INDEX task_agency ON task (agency_id, id) WHERE agency_id IS NOT NULL;
CREATE INDEX task_hospital ON task (hospital_id, id);
CREATE INDEX task_patient ON task (patient_id, id) WHERE patient_id IS NOT NULL;
CREATE INDEX task_unowned ON task (id) WHERE agency_id IS NULL AND kind = 'share';
CREATE INDEX task_offers_due ON task (due_at) WHERE kind = 'share' AND status = 'requested';

CREATE TABLE open_task (
    task_id uuid PRIMARY KEY,
    agency_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    urgency_rank smallint NOT NULL,
    due_at timestamptz NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    needs text[] NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE open_task IS 'The agencies'' queues: their open shares and follow-ups and nothing else, so that a queue costs the same whatever has ended before; written with the task row alone';
COMMENT ON COLUMN open_task.due_at IS 'infinity where no clock runs';
-- Carries all that a queue filters, counts and checks rights by.
CREATE INDEX open_task_queue ON open_task (agency_id, urgency_rank, due_at, task_id) INCLUDE (status, needs, version, hospital_id);
ALTER TABLE open_task ENABLE ROW LEVEL SECURITY;
ALTER TABLE open_task FORCE ROW LEVEL SECURITY;
CREATE POLICY open_task_parties ON open_task USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE open_offer (
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    PRIMARY KEY (task_id, agency_id)
);
COMMENT ON TABLE open_offer IS 'Which agencies may see and claim an offer that has no owner; no person in it';
CREATE INDEX open_offer_agency ON open_offer (agency_id, task_id);

ALTER TABLE task ENABLE ROW LEVEL SECURITY;
ALTER TABLE task FORCE ROW LEVEL SECURITY;
CREATE POLICY task_parties ON task USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (agency_id IS NULL AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = task.id
        AND o.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE task_version (
    task_id uuid NOT NULL,
    version integer NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid,
    filler_version integer NOT NULL,
    at timestamptz NOT NULL,
    snapshot json NOT NULL,
    PRIMARY KEY (task_id, version)
);
COMMENT ON TABLE task_version IS 'Every version of a Task as the Struct of service.referrals.model; a version reads alike for every reader';
ALTER TABLE task_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE task_version FORCE ROW LEVEL SECURITY;
CREATE POLICY task_version_parties ON task_version USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM task t WHERE t.id = task_version.task_id
        AND t.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (agency_id IS NULL AND EXISTS (SELECT 1 FROM open_offer o WHERE o.task_id = task_version.task_id
        AND o.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE next_step (
    referral_id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    agency_id uuid,
    who text NOT NULL CHECK (who IN ('agency', 'worker', 'referrer', 'coordinator', 'hospital')),
    organization_id uuid NOT NULL,
    worker_id uuid,
    what text NOT NULL,
    task_id uuid NOT NULL,
    since timestamptz NOT NULL,
    warn_at timestamptz NOT NULL,
    by timestamptz NOT NULL,
    reminded smallint NOT NULL DEFAULT 0,
    look_at timestamptz
);
COMMENT ON TABLE next_step IS 'Who must act next, on what, by when: exactly one row an open referral';
COMMENT ON COLUMN next_step.organization_id IS 'The organisation that must act';
COMMENT ON COLUMN next_step.reminded IS '0 not yet, 1 reminded at 80 % of the limit, 2 escalated at 100 %, 3 escalated to the coordinator';
COMMENT ON COLUMN next_step.look_at IS 'When the clock looks at it again; empty: at warn_at';
ALTER TABLE next_step SET (fillfactor = 70);
CREATE INDEX next_step_owner ON next_step (organization_id, by, referral_id);
CREATE INDEX next_step_look ON next_step ((coalesce(look_at, warn_at)));
ALTER TABLE next_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE next_step FORCE ROW LEVEL SECURITY;
CREATE POLICY next_step_parties ON next_step USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON referral, task TO yuanshe_app;
GRANT SELECT, INSERT ON submission, referral_version, task_version, open_offer TO yuanshe_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON next_step, open_task TO yuanshe_app;

-- What others wrote to an agency: all of it while identity is disclosed to it, and while its share goes on what names nobody
-- (those messages have no patient). After the end it keeps what it wrote itself.
ALTER POLICY record_parties ON record USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (returned AND hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (category IN ('supporting', 'request', 'message') AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.referral_id = record.referral_id AND d.closed_at IS NULL
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
            AND (record.category <> 'message' OR record.agency_id = d.agency_id)))
    OR (category = 'message' AND patient_id IS NULL AND agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
        AND EXISTS (SELECT 1 FROM task t WHERE t.id = record.task_id AND t.open
            AND t.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (category = 'supporting' AND record.referral_id IS NULL AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.patient_id = record.patient_id AND d.closed_at IS NULL
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR category = 'setting'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
