-- Screening: what answers come to, what they suggest; and the sealed record of mandatory reports.

CREATE TABLE screening (
    response_id uuid PRIMARY KEY,
    version integer NOT NULL,
    hospital_id uuid NOT NULL,
    author_id uuid NOT NULL,
    agency_id uuid,
    patient_id uuid NOT NULL,
    referral_id uuid,
    task_id uuid,
    instrument text NOT NULL,
    score integer,
    band text,
    answers json NOT NULL,
    missing text[] NOT NULL,
    signs_crisis boolean NOT NULL,
    void boolean NOT NULL DEFAULT false,
    observation_id uuid NOT NULL,
    observation_version integer NOT NULL DEFAULT 0,
    computed_at timestamptz NOT NULL,
    CHECK (score IS NULL OR missing = '{}')
);
COMMENT ON TABLE screening IS 'What the answers to an instrument come to, reckoned here; one row a response, following its current version, read by whoever reads the response';
COMMENT ON COLUMN screening.author_id IS 'Organisation that asked: the hospital, or the agency in its case';
COMMENT ON COLUMN screening.score IS 'Empty for an incomplete form, and for an instrument without a total';
COMMENT ON COLUMN screening.answers IS 'What each scored item counts, by its link id';
COMMENT ON COLUMN screening.missing IS 'Link ids of the scored items that were not answered in a way that can be read';
COMMENT ON COLUMN screening.void IS 'The response was entered in error';
COMMENT ON COLUMN screening.observation_id IS 'The derived Observation with the total; observation_version 0: there is none yet';
CREATE INDEX screening_patient ON screening (patient_id, computed_at DESC) WHERE NOT void;
CREATE INDEX screening_referral ON screening (referral_id, computed_at DESC) WHERE referral_id IS NOT NULL AND NOT void;
ALTER TABLE screening ENABLE ROW LEVEL SECURITY;
ALTER TABLE screening FORCE ROW LEVEL SECURITY;
CREATE POLICY screening_readers ON screening USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM record r WHERE r.id = screening.response_id AND r.current)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE suggestion (
    id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    response_id uuid,
    kind text NOT NULL CHECK (kind IN ('need', 'urgency', 'assess')),
    code text NOT NULL,
    why text NOT NULL,
    made_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'accepted', 'dismissed', 'withdrawn')),
    decided_by uuid,
    decided_at timestamptz,
    reason_text text,
    CHECK ((status = 'open') = (decided_at IS NULL)),
    CHECK (status <> 'dismissed' OR reason_text IS NOT NULL)
);
COMMENT ON TABLE suggestion IS 'What screening puts to a person, who accepts or dismisses it: nothing follows from it by itself';
COMMENT ON COLUMN suggestion.organization_id IS 'Whose it is to decide: the organisation that asked; nobody else reads it, an agency''s screening included';
COMMENT ON COLUMN suggestion.why IS 'What it follows from, in codes: instrument and item, or a rule of the table of duties';
COMMENT ON COLUMN suggestion.status IS 'withdrawn: the answers were corrected and suggest it no longer';
CREATE UNIQUE INDEX suggestion_open ON suggestion (referral_id, organization_id, kind, code) WHERE status = 'open';
CREATE INDEX suggestion_referral ON suggestion (referral_id, made_at, id);
CREATE INDEX suggestion_response ON suggestion (response_id) WHERE response_id IS NOT NULL;
ALTER TABLE suggestion ENABLE ROW LEVEL SECURITY;
ALTER TABLE suggestion FORCE ROW LEVEL SECURITY;
CREATE POLICY suggestion_own ON suggestion USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE mandatory_report (
    record_id uuid PRIMARY KEY,
    version integer NOT NULL,
    referral_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    author_id uuid NOT NULL,
    situation text NOT NULL,
    known_at timestamptz NOT NULL,
    reported_at timestamptz NOT NULL,
    channel text NOT NULL,
    receiver text NOT NULL,
    receipt text,
    preserved text[] NOT NULL,
    reporter text NOT NULL,
    recorded_at timestamptz NOT NULL,
    void boolean NOT NULL DEFAULT false,
    CHECK (reported_at >= known_at)
);
COMMENT ON TABLE mandatory_report IS 'Reports to the police that the law asks for. Sealed (T3): read by the organisation that wrote it, of an agency by its supervisor, and by the platform; in no notice, timeline or log that others read';
COMMENT ON COLUMN mandatory_report.record_id IS 'The received resource, whose versions are the corrections; the row follows the current one';
COMMENT ON COLUMN mandatory_report.situation IS 'Code of urn:yuanshe:report-situation: what triggered it';
COMMENT ON COLUMN mandatory_report.known_at IS 'When the organisation knew or suspected; with reported_at it tells how timely the report was';
COMMENT ON COLUMN mandatory_report.receiver IS 'Police station or officer that took it';
COMMENT ON COLUMN mandatory_report.receipt IS 'Their number for it, where one was given';
COMMENT ON COLUMN mandatory_report.preserved IS 'Codes of urn:yuanshe:preserved: what evidence was kept';
CREATE INDEX mandatory_report_times ON mandatory_report (reported_at) WHERE NOT void;
ALTER TABLE mandatory_report ENABLE ROW LEVEL SECURITY;
ALTER TABLE mandatory_report FORCE ROW LEVEL SECURITY;
CREATE POLICY mandatory_report_write ON mandatory_report FOR INSERT WITH CHECK (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY mandatory_report_sealed ON mandatory_report USING (
    (author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
        AND (SELECT current_setting('yuanshe.role', true)) IN ('hospital', 'referrer', 'agency', 'supervisor'))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

-- What is sealed is read by need to know: of an agency's people by its supervisor alone. An agency's own program acts for
-- the organisation as such and keeps its people apart itself.
CREATE POLICY record_sealed ON record AS RESTRICTIVE FOR SELECT USING (
    category <> 'safety'
    OR (SELECT current_setting('yuanshe.role', true)) IN ('hospital', 'referrer', 'agency', 'supervisor')
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON screening, suggestion, mandatory_report TO yuanshe_app;
