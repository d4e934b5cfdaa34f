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
    ADD COLUMN readmission_of uuid;
COMMENT ON COLUMN stay.class IS 'In-patient, out-patient or emergency; empty: not said';
COMMENT ON COLUMN stay.ward IS 'Where the person lies, as the hospital calls it; never in an event, a notice or an offer';
COMMENT ON COLUMN stay.expected_end IS 'When the hospital expects the discharge';
COMMENT ON COLUMN stay.fit_at IS 'From when the person was medically fit for discharge (readiness); days after it are delayed days';
COMMENT ON COLUMN stay.admitted_from IS 'Where the person came from, a code as received';
COMMENT ON COLUMN stay.receiving IS 'The institution that the person was discharged to; named where the way of leaving is 2 or 3';
COMMENT ON COLUMN stay.readmission_of IS 'The stay after which this one is a readmission, found by the service';
CREATE INDEX stay_readmission ON stay (readmission_of) WHERE readmission_of IS NOT NULL;
