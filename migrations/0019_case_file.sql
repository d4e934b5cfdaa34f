-- The case file: its phases, goals, plans and signatures, how complete it is, and where the chain from need to outcome is broken.

ALTER TABLE case_file DROP CONSTRAINT case_file_phase_check;
ALTER TABLE case_file ADD CONSTRAINT case_file_phase_check
    CHECK (phase IN ('intake', 'assessment', 'plan', 'intervention', 'evaluation', 'closure', 'follow-up', 'archive'));
ALTER TABLE case_file ADD COLUMN source text;
ALTER TABLE case_file ADD COLUMN domain text;
ALTER TABLE case_file ADD COLUMN populations text[] NOT NULL DEFAULT '{}';
ALTER TABLE case_file ADD COLUMN required smallint NOT NULL DEFAULT 0 CHECK (required >= 0);
ALTER TABLE case_file ADD COLUMN present smallint NOT NULL DEFAULT 0 CHECK (present BETWEEN 0 AND required);
ALTER TABLE case_file ADD COLUMN lacks text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN case_file.source IS 'How the person came to it (urn:yuanshe:source), from the intake form';
COMMENT ON COLUMN case_file.domain IS 'Domain of service (urn:yuanshe:domain), from the intake form';
COMMENT ON COLUMN case_file.populations IS 'Populations that the person belongs to (urn:yuanshe:population), from the intake form: a filter for lists, nothing is decided by it';
COMMENT ON COLUMN case_file.required IS 'Documents that the phases behind it ask for; with present and lacks reckoned anew with every change of the file';
COMMENT ON COLUMN case_file.lacks IS 'Which of them are missing: codes of urn:yuanshe:case-document';

CREATE TABLE case_step (
    case_id uuid NOT NULL REFERENCES case_file,
    number integer NOT NULL,
    agency_id uuid NOT NULL,
    phase text NOT NULL,
    at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    by_role text NOT NULL,
    worker_id uuid,
    reason text,
    approved_by uuid,
    missing text[] NOT NULL DEFAULT '{}',
    waived boolean NOT NULL DEFAULT false,
    PRIMARY KEY (case_id, number)
);
COMMENT ON TABLE case_step IS 'The history of a case: each time that it entered a phase; rows are never changed';
COMMENT ON COLUMN case_step.approved_by IS 'The supervisor who let it';
COMMENT ON COLUMN case_step.missing IS 'What the phases behind it lacked at that moment: codes of urn:yuanshe:case-document';
COMMENT ON COLUMN case_step.waived IS 'A supervisor did without what was missing';

CREATE TABLE case_goal (
    id uuid PRIMARY KEY,
    case_id uuid NOT NULL REFERENCES case_file,
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    status text NOT NULL,
    goal_type text,
    client_unit text NOT NULL,
    needs text[] NOT NULL,
    measured boolean NOT NULL,
    achievement text,
    at timestamptz NOT NULL
);
COMMENT ON TABLE case_goal IS 'The goals of a case as they stand (Goal); the received resource is in record';
COMMENT ON COLUMN case_goal.needs IS 'The needs that it is for (urn:yuanshe:need)';
COMMENT ON COLUMN case_goal.measured IS 'It says by what one will know';
CREATE INDEX case_goal_case ON case_goal (case_id);

CREATE TABLE case_plan (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    case_id uuid NOT NULL REFERENCES case_file,
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    status text NOT NULL,
    goals uuid[] NOT NULL,
    review_at timestamptz,
    at timestamptz NOT NULL
);
COMMENT ON TABLE case_plan IS 'The service plans of a case as they stand (CarePlan); the received resource is in record';
COMMENT ON COLUMN case_plan.review_at IS 'When it is looked at again';
CREATE INDEX case_plan_case ON case_plan (case_id);

CREATE TABLE case_approval (
    id uuid PRIMARY KEY,
    case_id uuid NOT NULL REFERENCES case_file,
    agency_id uuid NOT NULL,
    document text NOT NULL,
    subject_id uuid NOT NULL,
    subject_version integer NOT NULL,
    supervisor_id uuid NOT NULL,
    at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    note text
);
COMMENT ON TABLE case_approval IS 'A supervisor''s signature on one version of a document; never changed, a later version needs another';
CREATE INDEX case_approval_case ON case_approval (case_id, at);

CREATE TABLE case_orphan (
    id uuid PRIMARY KEY,
    case_id uuid NOT NULL REFERENCES case_file,
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('need-without-goal', 'goal-without-measure', 'intervention-without-goal', 'goal-without-outcome')),
    subject_id uuid,
    need text,
    since timestamptz NOT NULL,
    CHECK ((kind = 'need-without-goal') = (need IS NOT NULL)),
    CHECK ((need IS NULL) = (subject_id IS NOT NULL))
);
COMMENT ON TABLE case_orphan IS 'Broken links between need, goal, intervention and outcome as they are now; reckoned anew with every change of the file';
COMMENT ON COLUMN case_orphan.subject_id IS 'The goal or intervention';
CREATE UNIQUE INDEX case_orphan_once ON case_orphan (case_id, kind, coalesce(subject_id, case_id), coalesce(need, ''));
CREATE INDEX case_orphan_agency ON case_orphan (agency_id, id);

ALTER TABLE intervention ADD COLUMN goals uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE intervention ADD COLUMN contact text;
ALTER TABLE intervention ADD COLUMN attendance integer NOT NULL DEFAULT 1 CHECK (attendance >= 0);
ALTER TABLE intervention ADD COLUMN coordination text;
ALTER TABLE intervention ADD COLUMN benefit text;
ALTER TABLE intervention ADD COLUMN amount bigint CHECK (amount >= 0);
ALTER TABLE intervention ADD COLUMN noted_at timestamptz;
COMMENT ON COLUMN intervention.goals IS 'The goals of the case that it serves (resource-pertainsToGoal)';
COMMENT ON COLUMN intervention.attendance IS 'How many people took part: a group session is one session and as many 人次';
COMMENT ON COLUMN intervention.coordination IS 'The partner with whom something is to be settled (urn:yuanshe:coordination)';
COMMENT ON COLUMN intervention.benefit IS 'How far an application for a benefit has come (urn:yuanshe:benefit)';
COMMENT ON COLUMN intervention.amount IS 'In 分';
COMMENT ON COLUMN intervention.noted_at IS 'When it was first written down as done; an appointment is no note';

-- A supervision note is read by its agency alone. The platform's scope carries every move and so sees its row; that its
-- coordinator finds none is said where resources are looked for (service/records/finding.py).
ALTER TABLE record DROP CONSTRAINT record_category_check;
ALTER TABLE record ADD CONSTRAINT record_category_check
    CHECK (category IN ('identity', 'request', 'supporting', 'message', 'work', 'case-note', 'supervision', 'safety', 'setting'));

ALTER TABLE case_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_step FORCE ROW LEVEL SECURITY;
ALTER TABLE case_goal ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_goal FORCE ROW LEVEL SECURITY;
ALTER TABLE case_plan ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_plan FORCE ROW LEVEL SECURITY;
ALTER TABLE case_approval ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_approval FORCE ROW LEVEL SECURITY;
ALTER TABLE case_orphan ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_orphan FORCE ROW LEVEL SECURITY;
CREATE POLICY case_step_own ON case_step USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY case_goal_own ON case_goal USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY case_plan_own ON case_plan USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY case_approval_own ON case_approval USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY case_orphan_own ON case_orphan USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT ON case_step, case_approval TO yuanshe_app;
GRANT SELECT, INSERT, UPDATE ON case_goal, case_plan TO yuanshe_app;
GRANT SELECT, INSERT, DELETE ON case_orphan TO yuanshe_app;

-- Cases that there are already begin their history where they stand. The rows are secured, from their owner too.
SELECT set_config('yuanshe.platform', 'on', true);
UPDATE intervention SET noted_at = recorded_at WHERE status = 'completed';
INSERT INTO case_step (case_id, number, agency_id, phase, at, by_id, by_role, worker_id)
SELECT id, 1, agency_id, phase, opened_at, agency_id, 'agency', worker_id FROM case_file;
SELECT set_config('yuanshe.platform', '', true);
