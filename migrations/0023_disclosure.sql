-- Consent by purpose and category of data, who heard and who decided it; conflicts of interest; break-glass; reveals; volunteers.

ALTER TABLE consent DROP CONSTRAINT consent_kind_check;
ALTER TABLE consent ADD CONSTRAINT consent_kind_check CHECK (kind IN ('consent', 'legal-duty', 'emergency', 'break-glass'));
ALTER TABLE consent ADD purposes text[] NOT NULL DEFAULT '{}', ADD withheld text[] NOT NULL DEFAULT '{}', ADD witness text,
    ADD decided_by text;
COMMENT ON COLUMN consent.purposes IS 'What it was given for, as codes; empty: what a referral is for';
COMMENT ON COLUMN consent.withheld IS 'Categories of data (urn:yuanshe:data-category) that the signer did not agree to share';
COMMENT ON COLUMN consent.witness IS 'Type/id of who heard a spoken consent';
COMMENT ON COLUMN consent.decided_by IS 'Of a lawful basis or break-glass: Type/id of the supervisor who decided it; empty: the recorder did';

ALTER TABLE disclosure DROP CONSTRAINT disclosure_basis_check;
ALTER TABLE disclosure ADD CONSTRAINT disclosure_basis_check CHECK (basis IN ('consent', 'legal-duty', 'emergency', 'break-glass'));
ALTER TABLE disclosure ADD withheld text[] NOT NULL DEFAULT '{}', ADD hidden text[] NOT NULL DEFAULT '{}', ADD until timestamptz;
COMMENT ON COLUMN disclosure.withheld IS 'Categories of data that its ground leaves out';
COMMENT ON COLUMN disclosure.hidden IS 'The types of those categories: read by the row policies below';
COMMENT ON COLUMN disclosure.until IS 'When its ground ends by itself';
-- Who saw what about me: every opening of a person, the closed ones too.
CREATE INDEX disclosure_patient ON disclosure (patient_id, opened_at);

ALTER POLICY record_parties ON record USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (returned AND hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (category IN ('supporting', 'request', 'message') AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.referral_id = record.referral_id AND d.closed_at IS NULL
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
            AND (record.category <> 'message' OR record.agency_id = d.agency_id)
            AND (record.category <> 'supporting' OR NOT record.type = ANY (d.hidden))))
    OR (category = 'message' AND patient_id IS NULL AND agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
        AND EXISTS (SELECT 1 FROM task t WHERE t.id = record.task_id AND t.open
            AND t.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (category = 'supporting' AND record.referral_id IS NULL AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.patient_id = record.patient_id AND d.closed_at IS NULL
            AND NOT record.type = ANY (d.hidden)
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR category = 'setting'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

-- What is hidden of stays and files: the policies of 0029.

CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL CHECK (length(key) = 32)
);
COMMENT ON TABLE installation IS 'The key of this installation, made once: what persons are recognised by without being named is an HMAC under it';
INSERT INTO installation (key) SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

CREATE TABLE related (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    suspected boolean NOT NULL,
    marks bytea[] NOT NULL,
    at timestamptz NOT NULL
);
COMMENT ON TABLE related IS 'Persons around a patient (RelatedPerson), by marks alone; whether one is suspected of harming the patient is sealed (T3)';
COMMENT ON COLUMN related.marks IS 'HMACs of number, telephone, and name with birth date (service/consent/marks.py)';
CREATE INDEX related_patient ON related (patient_id);
ALTER TABLE related ENABLE ROW LEVEL SECURITY;
ALTER TABLE related FORCE ROW LEVEL SECURITY;
CREATE POLICY related_sealed ON related USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE conflict (
    id uuid PRIMARY KEY,
    agency_id uuid NOT NULL,
    worker_id uuid NOT NULL,
    marks bytea[] NOT NULL CHECK (cardinality(marks) > 0),
    declared_by uuid NOT NULL,
    declared_at timestamptz NOT NULL
);
COMMENT ON TABLE conflict IS 'Persons whom a worker may not serve (a relative, a neighbour, an opponent), as the worker declared them: marks alone';
CREATE INDEX conflict_agency ON conflict (agency_id, declared_at);
ALTER TABLE conflict ENABLE ROW LEVEL SECURITY;
ALTER TABLE conflict FORCE ROW LEVEL SECURITY;
CREATE POLICY conflict_own ON conflict USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE reveal (
    id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    actor_role text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL
);
COMMENT ON TABLE reveal IS 'Each time an agency was shown a full citizen number, and why';
CREATE INDEX reveal_patient ON reveal (patient_id, at);
ALTER TABLE reveal ENABLE ROW LEVEL SECURITY;
ALTER TABLE reveal FORCE ROW LEVEL SECURITY;
CREATE POLICY reveal_parties ON reveal USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

ALTER TABLE client DROP CONSTRAINT client_role_check;
ALTER TABLE client ADD CONSTRAINT client_role_check CHECK (role IN ('hospital', 'agency', 'platform', 'auditor', 'volunteer'));
ALTER TABLE account DROP CONSTRAINT account_role_check;
ALTER TABLE account ADD CONSTRAINT account_role_check
    CHECK (role IN ('referrer', 'social_worker', 'supervisor', 'coordinator', 'administrator', 'auditor', 'volunteer'));

CREATE TABLE visit (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    referral_id uuid NOT NULL,
    task_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    worker_id uuid NOT NULL,
    volunteer_id uuid NOT NULL,
    service_type text NOT NULL,
    starts_at timestamptz NOT NULL,
    open boolean NOT NULL DEFAULT true,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE visit IS 'A volunteer matched to a person for one visit, under the named social worker of a share';
COMMENT ON COLUMN visit.volunteer_id IS 'The account or the program of the volunteer';
CREATE INDEX visit_volunteer ON visit (volunteer_id, starts_at) WHERE open;
CREATE INDEX visit_task ON visit (task_id, id);
ALTER TABLE visit ENABLE ROW LEVEL SECURITY;
ALTER TABLE visit FORCE ROW LEVEL SECURITY;
CREATE POLICY visit_parties ON visit USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT ON installation TO yuanshe_app;
GRANT SELECT, INSERT ON related, conflict, reveal TO yuanshe_app;
GRANT SELECT, INSERT, UPDATE ON visit TO yuanshe_app;
