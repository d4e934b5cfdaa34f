-- Safe contact, the crisis roster and its pages, and what was withheld from notices.

CREATE TABLE contact_rule (
    patient_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    version integer NOT NULL,
    current boolean NOT NULL DEFAULT true,
    prohibited boolean NOT NULL,
    supervised boolean NOT NULL,
    channels text[] NOT NULL,
    times json NOT NULL,
    number text,
    may_leave_message boolean NOT NULL,
    asked_by text,
    decisions json NOT NULL,
    why text,
    written_by uuid NOT NULL,
    actor_id uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (patient_id, hospital_id, version)
);
COMMENT ON TABLE contact_rule IS 'How a person may safely be contacted: every version, of which one is current; a person belongs to one hospital';
COMMENT ON COLUMN contact_rule.number IS 'The number to call, in place of any other';
COMMENT ON COLUMN contact_rule.decisions IS 'A supervisor''s leave for single steps where none is taken without one';
COMMENT ON COLUMN contact_rule.why IS 'Sealed (T3): read by the organisation that wrote it alone';
COMMENT ON COLUMN contact_rule.written_by IS 'The organisation that said so: the hospital, or an agency that the person is disclosed to';
CREATE UNIQUE INDEX contact_rule_current ON contact_rule (patient_id) WHERE current;
ALTER TABLE contact_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY contact_rule_parties ON contact_rule USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id = contact_rule.patient_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON contact_rule TO yuanshe_app;

ALTER TABLE delivery ADD COLUMN withheld text;
COMMENT ON COLUMN delivery.withheld IS 'The rule (urn:yuanshe:contact-rule) for which it was told by ids alone, or without the person, when it was last sent';
