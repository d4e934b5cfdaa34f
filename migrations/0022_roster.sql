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

CREATE TABLE duty_shift (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization (id),
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    first json NOT NULL,
    second json,
    active boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL,
    CHECK (ends_at > begins_at),
    UNIQUE (organization_id, begins_at)
);
COMMENT ON TABLE duty_shift IS 'The crisis roster: who is on duty for an organisation, from when to when, the first to be paged and the second';
COMMENT ON COLUMN duty_shift.first IS 'Name, worker where there is one in the directory, e-mail and webhook for pages, telephone for people';
COMMENT ON COLUMN duty_shift.second IS 'Empty: the shift has one person, which is reported';
CREATE INDEX duty_shift_now ON duty_shift (organization_id, ends_at) WHERE active;
ALTER TABLE duty_shift ENABLE ROW LEVEL SECURITY;
ALTER TABLE duty_shift FORCE ROW LEVEL SECURITY;
CREATE POLICY duty_shift_own ON duty_shift USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON duty_shift TO yuanshe_app;

CREATE TABLE page (
    id uuid PRIMARY KEY,
    referral_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    agency_id uuid,
    task_id uuid NOT NULL,
    raised_at timestamptz NOT NULL,
    place integer NOT NULL,
    rung text NOT NULL CHECK (rung IN ('first', 'second', 'supervisor', 'coordinator')),
    channel text NOT NULL CHECK (channel IN ('email', 'webhook', 'none')),
    organization_id uuid NOT NULL,
    worker_id uuid,
    name text,
    endpoint text,
    token text,
    limit_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'not-delivered', 'nobody', 'called-off')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    last_status integer,
    last_error text,
    made_at timestamptz NOT NULL,
    sent_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text CHECK (acknowledged_by IN ('link', 'crisis-step')),
    UNIQUE (referral_id, raised_at, place, channel),
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK ((channel = 'none') = (state = 'nobody'))
);
COMMENT ON TABLE page IS 'Each call to somebody on duty in a crisis: whom, when, by which channel, whether it arrived and was acknowledged; it says nothing of the person';
COMMENT ON COLUMN page.raised_at IS 'Which crisis of the referral: since when it is up';
COMMENT ON COLUMN page.place IS 'How many were called before; with the crisis it is what makes a call this call and no other';
COMMENT ON COLUMN page.rung IS 'Whom of the ladder: first and second of the roster, the accepted agency''s supervisor, the coordinator';
COMMENT ON COLUMN page.token IS 'Of the link that acknowledges it, once';
COMMENT ON COLUMN page.limit_at IS 'By when the crisis has to be acknowledged, as the page says it';
COMMENT ON COLUMN page.state IS 'nobody: the roster named none, so the next of the ladder was called at once';
COMMENT ON COLUMN page.next_at IS 'When to try next; while an attempt runs, when it would be taken for lost';
COMMENT ON COLUMN page.last_error IS 'One word of ours';
CREATE INDEX page_due ON page (next_at) WHERE state = 'waiting';
CREATE INDEX page_listed ON page (made_at DESC, id DESC);
CREATE UNIQUE INDEX page_token ON page (token) WHERE token IS NOT NULL;
CREATE INDEX referral_in_crisis ON referral (crisis_at) WHERE crisis = 'raised';
ALTER TABLE page ENABLE ROW LEVEL SECURITY;
ALTER TABLE page FORCE ROW LEVEL SECURITY;
CREATE POLICY page_parties ON page USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, UPDATE ON page TO yuanshe_app;

CREATE TABLE worker_silence (
    id uuid PRIMARY KEY,
    since timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    told_at timestamptz,
    ended_at timestamptz,
    end_told_at timestamptz,
    next_at timestamptz NOT NULL
);
COMMENT ON TABLE worker_silence IS 'Each time in which no worker process ran for too long: the alarm that it raised, once whoever watched, and its end';
COMMENT ON COLUMN worker_silence.next_at IS 'When to try next to tell of it; while somebody does, when they would be taken for lost';
CREATE UNIQUE INDEX worker_silence_running ON worker_silence ((true)) WHERE ended_at IS NULL;
CREATE INDEX worker_silence_untold ON worker_silence (next_at) WHERE told_at IS NULL OR (ended_at IS NOT NULL AND end_told_at IS NULL);
GRANT SELECT, INSERT, UPDATE ON worker_silence TO yuanshe_app;
