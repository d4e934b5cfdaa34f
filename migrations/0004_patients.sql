-- Persons: identity in tables of its own, their stays, consents and what they opened, and received resources.

CREATE TABLE disclosure (
    id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    task_id uuid NOT NULL,
    basis text NOT NULL CHECK (basis IN ('consent', 'legal-duty', 'emergency')),
    basis_id uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
COMMENT ON TABLE disclosure IS 'Which agency may see which person for which referral, on what ground, from when to when; the grant table of the row policies';
CREATE UNIQUE INDEX disclosure_open ON disclosure (patient_id, agency_id, referral_id) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX disclosure_referral ON disclosure (referral_id, agency_id) WHERE closed_at IS NULL;
-- What an agency may see now: read by every policy below, so never by looking through the whole network's grants.
CREATE INDEX disclosure_agency ON disclosure (agency_id) INCLUDE (referral_id, patient_id) WHERE closed_at IS NULL;
ALTER TABLE disclosure ENABLE ROW LEVEL SECURITY;
ALTER TABLE disclosure FORCE ROW LEVEL SECURITY;
CREATE POLICY disclosure_parties ON disclosure USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE patient (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    version integer NOT NULL,
    name text,
    phone text,
    birth_date date,
    gender text NOT NULL DEFAULT 'unknown',
    address text,
    region text,
    language text,
    no_identifier_reason text,
    deceased boolean NOT NULL DEFAULT false,
    received integer NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN patient.received IS 'Version of the record that holds the resource as received';
COMMENT ON COLUMN patient.region IS 'Region code of where the person lives now; never taken from the citizen number';
CREATE INDEX patient_hospital ON patient (hospital_id, id);
ALTER TABLE patient ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient FORCE ROW LEVEL SECURITY;
CREATE POLICY patient_parties ON patient USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id = patient.id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE patient_identifier (
    hospital_id uuid NOT NULL,
    system text NOT NULL,
    value text NOT NULL,
    patient_id uuid NOT NULL REFERENCES patient DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (hospital_id, system, value)
);
COMMENT ON TABLE patient_identifier IS 'Numbers of a person, unique per hospital: two hospitals'' patients are never merged silently';
CREATE INDEX patient_identifier_patient ON patient_identifier (patient_id);
ALTER TABLE patient_identifier ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient_identifier FORCE ROW LEVEL SECURITY;
CREATE POLICY patient_identifier_parties ON patient_identifier USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id = patient_identifier.patient_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE stay (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    number_system text,
    number text,
    started_at timestamptz,
    ended_at timestamptz,
    disposition text,
    destination_region text,
    received integer NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE stay IS 'A hospital stay (Encounter); its end is the discharge that anchors follow-up';
COMMENT ON COLUMN stay.disposition IS 'National code of the way of leaving (离院方式 1-5, 9)';
CREATE UNIQUE INDEX stay_number ON stay (hospital_id, number_system, number) WHERE number IS NOT NULL;
CREATE INDEX stay_patient ON stay (patient_id, id);
ALTER TABLE stay ENABLE ROW LEVEL SECURITY;
ALTER TABLE stay FORCE ROW LEVEL SECURITY;
CREATE POLICY stay_parties ON stay USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id = stay.patient_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE consent (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('consent', 'legal-duty', 'emergency')),
    active boolean NOT NULL,
    discloses boolean NOT NULL,
    agencies uuid[] NOT NULL,
    referrals uuid[] NOT NULL,
    valid_from timestamptz,
    valid_to timestamptz,
    signer text NOT NULL CHECK (signer IN ('patient', 'related', 'staff')),
    spoken boolean NOT NULL DEFAULT false,
    reason_text text,
    recorded_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    received integer NOT NULL,
    due timestamptz
);
COMMENT ON TABLE consent IS 'Consents to disclose, and lawful bases that stand in their place';
COMMENT ON COLUMN consent.discloses IS 'False for a Consent of another category (to treat, to process): it never opens identity';
COMMENT ON COLUMN consent.referrals IS 'The referrals it names; empty: every referral of the patient from that hospital in the period';
COMMENT ON COLUMN consent.due IS 'When its period begins or ends next: then the clock lets identity follow';
CREATE INDEX consent_due ON consent (due) WHERE due IS NOT NULL;
CREATE INDEX consent_patient ON consent (patient_id, hospital_id);
ALTER TABLE consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE consent FORCE ROW LEVEL SECURITY;
CREATE POLICY consent_parties ON consent USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.basis_id = consent.id AND d.patient_id = consent.patient_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE record (
    id uuid NOT NULL,
    version integer NOT NULL,
    type text NOT NULL,
    category text NOT NULL CHECK (category IN ('identity', 'request', 'supporting', 'message', 'work', 'case-note', 'safety', 'setting')),
    hospital_id uuid,
    author_id uuid NOT NULL,
    agency_id uuid,
    patient_id uuid,
    referral_id uuid,
    task_id uuid,
    returned boolean NOT NULL DEFAULT false,
    status text,
    code text,
    body json NOT NULL,
    at timestamptz NOT NULL,
    current boolean NOT NULL DEFAULT true,
    PRIMARY KEY (id, version)
);
COMMENT ON TABLE record IS 'Every resource as received, version by version, with its owner and disclosure category';
COMMENT ON COLUMN record.author_id IS 'Organisation that wrote it';
COMMENT ON COLUMN record.agency_id IS 'Agency that it concerns: the author''s own, or the one a message is about';
COMMENT ON COLUMN record.returned IS 'Given back to the hospital: an output, a receipt, a message';
CREATE UNIQUE INDEX record_current ON record (id) WHERE current;
CREATE INDEX record_referral ON record (referral_id, type, id) WHERE current;
CREATE INDEX record_patient ON record (patient_id, type, id) WHERE current;
CREATE INDEX record_task ON record (task_id, type, id) WHERE current;
CREATE INDEX record_author ON record (author_id, type, id) WHERE current;
CREATE INDEX record_agency ON record (agency_id, type, id) WHERE current AND agency_id IS NOT NULL;
CREATE INDEX record_returned ON record (hospital_id, type, id) WHERE current AND returned AND author_id <> hospital_id;
ALTER TABLE record ENABLE ROW LEVEL SECURITY;
ALTER TABLE record FORCE ROW LEVEL SECURITY;
CREATE POLICY record_parties ON record USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (returned AND hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (category = 'message' AND agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (category IN ('supporting', 'request') AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.referral_id = record.referral_id AND d.closed_at IS NULL
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (category = 'supporting' AND record.referral_id IS NULL AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.patient_id = record.patient_id AND d.closed_at IS NULL
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR category = 'setting'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON disclosure, patient, patient_identifier, stay, consent TO yuanshe_app;
GRANT DELETE ON patient_identifier TO yuanshe_app;
GRANT SELECT, INSERT ON record TO yuanshe_app;
GRANT UPDATE (current, returned) ON record TO yuanshe_app;
