-- Messages of HL7 v2 as they came in, sealed, and how new what each told is.

CREATE TABLE hl7_message (
    id uuid PRIMARY KEY,
    sender text NOT NULL,
    hospital_id uuid,
    control_id text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    event text NOT NULL,
    event_at timestamptz,
    received_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('applied', 'recorded', 'parked', 'replayed', 'dropped')),
    key text,
    place text,
    reason text,
    answer bytea NOT NULL,
    body bytea,
    patient_id uuid,
    stay_id uuid,
    mends uuid REFERENCES hl7_message (id),
    handled_at timestamptz,
    CHECK ((state = 'parked') <= (body IS NOT NULL AND reason IS NOT NULL)),
    CHECK ((state IN ('replayed', 'dropped')) <= (handled_at IS NOT NULL))
);
COMMENT ON TABLE hl7_message IS 'The inbox of HL7 v2: every message that was acknowledged, sealed (T3): the interface writes it, the platform''s administrator reads it, saying why';
COMMENT ON COLUMN hl7_message.sender IS 'Its name in the configuration; of a sender that nobody configured, ? and a hash of what it calls itself';
COMMENT ON COLUMN hl7_message.control_id IS 'MSH-10';
COMMENT ON COLUMN hl7_message.digest IS 'SHA-256 of the message but for MSH-7: the same again is answered as it was, and other content under the same MSH-10 is another message';
COMMENT ON COLUMN hl7_message.event IS 'MSH-9.2, as A01';
COMMENT ON COLUMN hl7_message.event_at IS 'When it happened, as the message says';
COMMENT ON COLUMN hl7_message.state IS 'applied: something changed; recorded: it told nothing newer; parked: it waits for a person; replayed: it was parked and is applied, itself or mended; dropped: a person decided that it goes';
COMMENT ON COLUMN hl7_message.key IS 'Why it was parked, a word for programs';
COMMENT ON COLUMN hl7_message.place IS 'Where in the message, as PID^1^3';
COMMENT ON COLUMN hl7_message.reason IS 'Why it was parked or dropped; no person''s data in it';
COMMENT ON COLUMN hl7_message.answer IS 'What was answered, given again to the same message';
COMMENT ON COLUMN hl7_message.body IS 'As received; forgotten some time after it was handled (practice: hl7_kept)';
COMMENT ON COLUMN hl7_message.mends IS 'The message that this one is the mended text of';
CREATE UNIQUE INDEX hl7_message_same ON hl7_message (sender, control_id, digest);
CREATE INDEX hl7_message_parked ON hl7_message (id) WHERE state = 'parked';
CREATE INDEX hl7_message_kept ON hl7_message (received_at) WHERE body IS NOT NULL AND state <> 'parked';
CREATE INDEX hl7_message_state ON hl7_message (state, id);
CREATE INDEX hl7_message_mends ON hl7_message (mends) WHERE mends IS NOT NULL;
ALTER TABLE hl7_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE hl7_message FORCE ROW LEVEL SECURITY;
-- Not the hospital's own programs either: what comes over FHIR reads none of it.
CREATE POLICY hl7_message_sealed ON hl7_message USING (
    (hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
     AND (SELECT current_setting('yuanshe.role', true)) = 'interface')
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE told (
    subject_id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL,
    at json NOT NULL
);
COMMENT ON TABLE told IS 'Of a person or a stay: when what is known of each of its facts had happened, {"name": "2026-11-22T01:02:03Z"}; what an older message tells is recorded and overrides nothing';
ALTER TABLE told ENABLE ROW LEVEL SECURITY;
ALTER TABLE told FORCE ROW LEVEL SECURITY;
CREATE POLICY told_hospital ON told USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON hl7_message, told TO yuanshe_app;
