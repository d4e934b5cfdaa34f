-- A case in people's hands: who is away and who stands in, co-work, transfers, time, onward referrals; and the scan of files.

ALTER TABLE worker ADD COLUMN away_since timestamptz;
ALTER TABLE worker ADD COLUMN stand_in_id uuid REFERENCES worker (id);
ALTER TABLE worker ADD CONSTRAINT worker_away_check CHECK ((away_since IS NULL) = (stand_in_id IS NULL));
COMMENT ON COLUMN worker.away_since IS 'Handed their work over and is not back: nobody names them for anything';
COMMENT ON COLUMN worker.stand_in_id IS 'The colleague who took it over';

CREATE TABLE hand_over (
    id uuid PRIMARY KEY,
    agency_id uuid NOT NULL,
    absent_id uuid NOT NULL REFERENCES worker (id),
    colleague_id uuid NOT NULL REFERENCES worker (id),
    reason_code text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    state text NOT NULL CHECK (state IN ('planned', 'in-force', 'ended', 'kept', 'called-off', 'stuck')),
    why text,
    moved integer NOT NULL DEFAULT 0,
    given_back integer NOT NULL DEFAULT 0,
    by_id uuid NOT NULL,
    made_at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK (ends_at > starts_at),
    CHECK (absent_id <> colleague_id),
    CHECK ((state = 'stuck') = (why IS NOT NULL))
);
COMMENT ON TABLE hand_over IS 'All of a person''s open work given to a colleague, from a time to a time or for good';
COMMENT ON COLUMN hand_over.ends_at IS 'When what is still open goes back; empty: for good, or until somebody says that the person is back';
COMMENT ON COLUMN hand_over.state IS 'stuck: it was to begin by itself and the colleague could not take it (why); kept: the person could not take it back';
CREATE UNIQUE INDEX hand_over_one ON hand_over (absent_id) WHERE state IN ('planned', 'in-force');
CREATE INDEX hand_over_absent ON hand_over (absent_id, id DESC);
CREATE INDEX hand_over_begins ON hand_over (starts_at) WHERE state = 'planned';
CREATE INDEX hand_over_ends ON hand_over (ends_at) WHERE state = 'in-force' AND ends_at IS NOT NULL;
ALTER TABLE hand_over ENABLE ROW LEVEL SECURITY;
ALTER TABLE hand_over FORCE ROW LEVEL SECURITY;
CREATE POLICY hand_over_own ON hand_over USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE hand_over_item (
    hand_over_id uuid NOT NULL REFERENCES hand_over (id),
    task_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    was_id uuid,
    now_id uuid,
    PRIMARY KEY (hand_over_id, task_id),
    CHECK (now_id IS NULL OR was_id IS NOT NULL)
);
COMMENT ON TABLE hand_over_item IS 'What a hand-over moved, so that it can go back';
COMMENT ON COLUMN hand_over_item.holder_id IS 'Who has it by hand-overs alone: what somebody else was named for since does not go back';
COMMENT ON COLUMN hand_over_item.was_id IS 'Of a share on which the person was second: their co-work, which ended';
COMMENT ON COLUMN hand_over_item.now_id IS 'The colleague''s co-work in its place; empty where the colleague works on the share already';
CREATE INDEX hand_over_item_task ON hand_over_item (task_id);
ALTER TABLE hand_over_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE hand_over_item FORCE ROW LEVEL SECURITY;
CREATE POLICY hand_over_item_own ON hand_over_item USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE co_work (
    id uuid PRIMARY KEY,
    task_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    worker_id uuid NOT NULL REFERENCES worker (id),
    role text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    made_at timestamptz NOT NULL,
    CHECK (ends_at >= starts_at)
);
COMMENT ON TABLE co_work IS 'A second worker on a share, from a time to a time; past ones stay';
CREATE INDEX co_work_task ON co_work (task_id, id);
CREATE INDEX co_work_worker ON co_work (worker_id, task_id);
ALTER TABLE co_work ENABLE ROW LEVEL SECURITY;
ALTER TABLE co_work FORCE ROW LEVEL SECURITY;
CREATE POLICY co_work_own ON co_work USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE case_transfer (
    id uuid PRIMARY KEY,
    task_id uuid NOT NULL,
    referral_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    from_worker_id uuid,
    to_worker_id uuid,
    onward_id uuid,
    reason_text text NOT NULL,
    note text,
    by_id uuid NOT NULL,
    at timestamptz NOT NULL,
    CHECK ((to_worker_id IS NULL) <> (onward_id IS NULL))
);
COMMENT ON TABLE case_transfer IS 'A case given to another worker, or its need to another agency by an onward referral: why, and the note for who goes on';
COMMENT ON COLUMN case_transfer.note IS 'The hand-over note: the agency''s own, like every note of a case';
CREATE INDEX case_transfer_task ON case_transfer (task_id, id);
ALTER TABLE case_transfer ENABLE ROW LEVEL SECURITY;
ALTER TABLE case_transfer FORCE ROW LEVEL SECURITY;
CREATE POLICY case_transfer_own ON case_transfer USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE time_entry (
    id uuid PRIMARY KEY,
    agency_id uuid NOT NULL,
    worker_id uuid NOT NULL REFERENCES worker (id),
    task_id uuid,
    referral_id uuid,
    procedure_id uuid,
    activity text NOT NULL,
    administrative boolean NOT NULL,
    minutes integer NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    by_id uuid NOT NULL,
    replaces uuid REFERENCES time_entry (id),
    voided_at timestamptz,
    CHECK ((task_id IS NULL) = (referral_id IS NULL)),
    CHECK (procedure_id IS NULL OR task_id IS NOT NULL)
);
COMMENT ON TABLE time_entry IS 'Minutes that a worker spent on an activity, with or without a case; a correction is a new row that replaces the old one';
COMMENT ON COLUMN time_entry.administrative IS 'As the activity''s code says';
COMMENT ON COLUMN time_entry.procedure_id IS 'The intervention whose own minutes these stand in place of';
COMMENT ON COLUMN time_entry.voided_at IS 'Taken back or replaced: counted nowhere';
CREATE INDEX time_entry_agency ON time_entry (agency_id, at, id) WHERE voided_at IS NULL;
CREATE INDEX time_entry_worker ON time_entry (worker_id, at) WHERE voided_at IS NULL;
CREATE INDEX time_entry_task ON time_entry (task_id, id) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX time_entry_procedure ON time_entry (procedure_id) WHERE procedure_id IS NOT NULL AND voided_at IS NULL;
CREATE UNIQUE INDEX time_entry_replaced ON time_entry (replaces) WHERE replaces IS NOT NULL;
ALTER TABLE time_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE time_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY time_entry_own ON time_entry USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE INDEX intervention_agency_time ON intervention (agency_id, started_at) WHERE minutes IS NOT NULL;

ALTER TABLE referral ADD COLUMN continues uuid;
COMMENT ON COLUMN referral.continues IS 'The referral that this one goes on from: a case opened again, or a need passed on to others';
CREATE INDEX referral_continues ON referral (continues) WHERE continues IS NOT NULL;

-- Whose open work it is.
CREATE INDEX task_worker ON task (worker_id, id) WHERE worker_id IS NOT NULL AND open;
CREATE INDEX next_step_worker ON next_step (worker_id) WHERE worker_id IS NOT NULL;
CREATE INDEX case_file_worker ON case_file (worker_id) WHERE worker_id IS NOT NULL AND closed_at IS NULL;

ALTER TABLE attachment ADD COLUMN scan text NOT NULL DEFAULT 'unasked' CHECK (scan IN ('unasked', 'clean', 'pending', 'infected'));
ALTER TABLE attachment ADD COLUMN scan_tries integer NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN scan_at timestamptz;
COMMENT ON COLUMN attachment.scan IS 'unasked: no scanner was set; pending: the scanner could not say, so nobody reads it yet; infected: found later, its content is gone';
COMMENT ON COLUMN attachment.scan_at IS 'When a pending file is looked at again';
CREATE INDEX attachment_pending ON attachment (scan_at) WHERE scan = 'pending';
CREATE INDEX attachment_content ON attachment (sha256);

GRANT SELECT, INSERT, UPDATE ON hand_over, hand_over_item, co_work, time_entry TO yuanshe_app;
GRANT SELECT, INSERT ON case_transfer TO yuanshe_app;
GRANT UPDATE (scan, scan_tries, scan_at) ON attachment TO yuanshe_app;
