-- The living referral: what a stay says besides its end, and which records of persons were merged into which.

ALTER TABLE stay
    ADD COLUMN class text CHECK (class IN ('in', 'out', 'emergency')),
    ADD COLUMN ward text,
    ADD COLUMN room text,
    ADD COLUMN bed text,
    ADD COLUMN department text,
    ADD COLUMN expected_end timestamptz,
    ADD COLUMN fit_at timestamptz,
    ADD COLUMN admitted_from text,
    ADD COLUMN receiving text,
    ADD COLUMN readmission_of uuid,
    ADD COLUMN elective boolean;
COMMENT ON COLUMN stay.class IS 'In-patient, out-patient or emergency; empty: not said';
COMMENT ON COLUMN stay.ward IS 'Where the person lies, as the hospital calls it; never in an event, a notice or an offer';
COMMENT ON COLUMN stay.expected_end IS 'When the hospital expects the discharge';
COMMENT ON COLUMN stay.fit_at IS 'From when the person was medically fit for discharge (readiness); days after it are delayed days';
COMMENT ON COLUMN stay.admitted_from IS 'Where the person came from, a code as received';
COMMENT ON COLUMN stay.receiving IS 'The institution that the person was discharged to; named where the way of leaving is 2 or 3';
COMMENT ON COLUMN stay.readmission_of IS 'The stay after which this one is a readmission, found by the service';
COMMENT ON COLUMN stay.elective IS 'The admission was planned; empty: not said';
CREATE INDEX stay_ended ON stay (hospital_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX stay_readmission ON stay (readmission_of) WHERE readmission_of IS NOT NULL;

-- ---- merging --------------------------------------------------------------------------------------------------------

ALTER TABLE patient ADD COLUMN merged_into uuid REFERENCES patient DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE patient ADD CONSTRAINT patient_merged_into_check CHECK (merged_into <> id);
COMMENT ON COLUMN patient.merged_into IS 'The record that took this one in; it answers in its place, and this one says so';
CREATE INDEX patient_merged ON patient (merged_into) WHERE merged_into IS NOT NULL;

-- Who knows the person by the survivor reads of the absorbed record that it was absorbed, and by which.
ALTER POLICY patient_parties ON patient USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id IN (patient.id, patient.merged_into) AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE patient_merge (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    absorbed_id uuid NOT NULL,
    at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    survivor_deceased boolean NOT NULL,
    survivor_reason text,
    absorbed_received integer NOT NULL,
    undone_at timestamptz,
    undone_by uuid,
    undone_why text,
    CHECK (survivor_id <> absorbed_id),
    CHECK ((undone_at IS NULL) = (undone_by IS NULL) AND (undone_at IS NULL) = (undone_why IS NULL))
);
COMMENT ON TABLE patient_merge IS 'Two records of one hospital found to be of one person: which took in which, and whether that was undone';
COMMENT ON COLUMN patient_merge.survivor_deceased IS 'What the survivor said before, given back by the undo';
COMMENT ON COLUMN patient_merge.survivor_reason IS 'Why the survivor had no identifier before, given back by the undo where it has none again';
COMMENT ON COLUMN patient_merge.absorbed_received IS 'The version in which the absorbed record was last received before, shown again after the undo';
CREATE UNIQUE INDEX patient_merge_standing ON patient_merge (absorbed_id) WHERE undone_at IS NULL;
CREATE INDEX patient_merge_hospital ON patient_merge (hospital_id, id);

CREATE TABLE patient_merge_row (
    merge_id uuid NOT NULL REFERENCES patient_merge,
    hospital_id uuid NOT NULL,
    kind text NOT NULL,
    row_id uuid,
    system text,
    value text,
    CHECK ((kind = 'patient_identifier') = (row_id IS NULL) AND (row_id IS NULL) = (value IS NOT NULL))
);
COMMENT ON TABLE patient_merge_row IS 'The journal of a merge: every row that it moved to the survivor, so that the undo moves those back and no others';
COMMENT ON COLUMN patient_merge_row.kind IS 'The table of the row; a number is named by its system and value';
CREATE INDEX patient_merge_row_merge ON patient_merge_row (merge_id, kind, row_id);
CREATE INDEX patient_merge_row_number ON patient_merge_row (hospital_id, system, value) WHERE value IS NOT NULL;

ALTER TABLE patient_merge ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient_merge FORCE ROW LEVEL SECURITY;
CREATE POLICY patient_merge_hospital ON patient_merge USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
ALTER TABLE patient_merge_row ENABLE ROW LEVEL SECURITY;
ALTER TABLE patient_merge_row FORCE ROW LEVEL SECURITY;
CREATE POLICY patient_merge_row_hospital ON patient_merge_row USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON patient_merge TO yuanshe_app;
GRANT SELECT, INSERT ON patient_merge_row TO yuanshe_app;

-- Whose it is can change, and nothing else of these rows.
GRANT UPDATE (patient_id) ON record, contact_attempt, attachment, related, reveal TO yuanshe_app;
CREATE INDEX visit_patient ON visit (patient_id);
CREATE INDEX suggestion_patient ON suggestion (patient_id);
CREATE INDEX mandatory_report_patient ON mandatory_report (patient_id);
CREATE INDEX case_file_patient ON case_file (patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX intervention_patient ON intervention (patient_id);
CREATE INDEX contact_attempt_patient ON contact_attempt (patient_id);
CREATE INDEX attachment_patient ON attachment (patient_id) WHERE patient_id IS NOT NULL;

ALTER TABLE consent ADD COLUMN confined uuid[];
COMMENT ON COLUMN consent.confined IS 'Of a record that was merged: the only referrals that it can open, those of the record on which it was given; empty where there were none, null where it is not confined';

-- What speaks of a person as such, and belongs to no referral, is read by those alone to whom the person was disclosed on the
-- same record, until a ground is given anew: a consent on one of two records never opens what was the other's.
ALTER TABLE record ADD COLUMN origin_id uuid;
COMMENT ON COLUMN record.origin_id IS 'Of what belongs to no referral: the record of the person on which it was written, where two were merged';
ALTER TABLE disclosure ADD COLUMN origin_id uuid;
COMMENT ON COLUMN disclosure.origin_id IS 'The record of the person on which it was opened, where that was before a merge';
GRANT UPDATE (origin_id) ON record TO yuanshe_app;

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
            AND (record.origin_id IS NULL OR d.origin_id IS NULL OR record.origin_id = d.origin_id)
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR category = 'setting'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
