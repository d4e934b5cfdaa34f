-- The queue as people work in it: its views, each found by an index; views that they keep; and acts on many rows at once.

ALTER TABLE open_task
    ADD COLUMN kind text NOT NULL DEFAULT 'share' CHECK (kind IN ('share', 'follow-up', 'duty')),
    ADD COLUMN worker_id uuid,
    ADD COLUMN says text,
    ADD COLUMN region text,
    ADD COLUMN sealed boolean NOT NULL DEFAULT false,
    ADD COLUMN window_from timestamptz;
COMMENT ON COLUMN open_task.says IS 'The Task''s businessStatus';
COMMENT ON COLUMN open_task.region IS 'What an offer shows of where: of a safety need the county';
COMMENT ON COLUMN open_task.sealed IS 'A safety need of somebody whom the agency does not know: it is found as “safety”, never by which need it is';
COMMENT ON COLUMN open_task.window_from IS 'Of a follow-up: from when it may be done';

SELECT set_config('yuanshe.platform', 'on', true);
UPDATE open_task o
SET kind = t.kind, worker_id = t.worker_id, says = t.business_status, region = v.snapshot ->> 'region',
    sealed = t.patient_id IS NULL AND t.needs && '{N11,N12,N13,N14}', window_from = (v.snapshot ->> 'window_from')::timestamptz
FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.id = o.task_id;
SELECT set_config('yuanshe.platform', '', true);

-- Carries all that a queue filters, counts and checks rights by; so do the views' own.
DROP INDEX open_task_queue;
CREATE INDEX open_task_queue ON open_task (agency_id, urgency_rank, due_at, task_id)
    INCLUDE (status, needs, version, hospital_id, kind, worker_id, says, region, sealed);
CREATE INDEX open_task_offers ON open_task (agency_id, urgency_rank, due_at, task_id)
    INCLUDE (needs, version, hospital_id, kind, worker_id, says, region, sealed) WHERE status = 'requested';
CREATE INDEX open_task_of_worker ON open_task (agency_id, worker_id, urgency_rank, due_at, task_id) WHERE worker_id IS NOT NULL;
CREATE INDEX open_task_unassigned ON open_task (agency_id, urgency_rank, due_at, task_id)
    WHERE worker_id IS NULL AND status <> 'requested';
CREATE INDEX open_task_waiting ON open_task (agency_id, urgency_rank, due_at, task_id)
    WHERE says IN ('awaiting-information', 'awaiting-consent');
CREATE INDEX open_task_held ON open_task (agency_id, urgency_rank, due_at, task_id) WHERE status = 'on-hold';
CREATE INDEX open_task_follow_up ON open_task (agency_id, window_from) WHERE kind = 'follow-up';
-- Offers that nobody owns yet: few at any time, whoever may claim them.
CREATE INDEX task_claimable ON task (urgency_rank, due_at, id) WHERE agency_id IS NULL AND kind = 'share' AND open;
-- A place is found by its name in a filter.
CREATE INDEX region_name_zh ON region (name_zh);
CREATE INDEX region_name_en ON region (lower(name_en));

CREATE TABLE saved_view (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL REFERENCES account,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    view text NOT NULL,
    words text NOT NULL CHECK (length(words) <= 1000),
    shared boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE saved_view IS 'A view of the queue with its filter, kept under a name: its maker''s own, or shared with the agency''s team';
COMMENT ON COLUMN saved_view.words IS 'The filter as it stands in an address: codes, no words of a person';
CREATE INDEX saved_view_organization ON saved_view (organization_id, created_at, id);
ALTER TABLE saved_view ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_view FORCE ROW LEVEL SECURITY;
CREATE POLICY saved_view_read ON saved_view FOR SELECT USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    AND (shared OR account_id = (SELECT nullif(current_setting('yuanshe.account', true), '')::uuid))
);
CREATE POLICY saved_view_write ON saved_view FOR ALL USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    AND account_id = (SELECT nullif(current_setting('yuanshe.account', true), '')::uuid)
);

CREATE TABLE bulk_act (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL REFERENCES account,
    action text NOT NULL CHECK (action IN ('accept', 'decline', 'assign', 'hold')),
    reason_code text,
    reason_text text,
    worker_id uuid,
    until timestamptz,
    made_at timestamptz NOT NULL,
    ended_at timestamptz
);
COMMENT ON TABLE bulk_act IS 'One act on many rows of the queue: a worker of the service does it row by row, each in a transaction of its own';
COMMENT ON COLUMN bulk_act.worker_id IS 'Of assign: to whom';
COMMENT ON COLUMN bulk_act.until IS 'Of hold: when the work is to go on';
CREATE INDEX bulk_act_account ON bulk_act (account_id, made_at);
CREATE INDEX bulk_act_open ON bulk_act (made_at, id) WHERE ended_at IS NULL;
ALTER TABLE bulk_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulk_act FORCE ROW LEVEL SECURITY;
CREATE POLICY bulk_act_own ON bulk_act USING (
    (organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
     AND account_id = (SELECT nullif(current_setting('yuanshe.account', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE bulk_row (
    act_id uuid NOT NULL REFERENCES bulk_act,
    place integer NOT NULL,
    task_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    account_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'refused')),
    why text,
    detail text,
    lease timestamptz,
    PRIMARY KEY (act_id, place),
    UNIQUE (act_id, task_id)
);
COMMENT ON TABLE bulk_row IS 'One row of an act on many, and what came of it';
COMMENT ON COLUMN bulk_row.why IS 'Why it was refused: a key of the refusal';
COMMENT ON COLUMN bulk_row.detail IS 'Who of the agency''s staff was quicker, where that is why';
COMMENT ON COLUMN bulk_row.lease IS 'Until when a worker has it in hand; past it, another may take it';
CREATE INDEX bulk_row_waiting ON bulk_row (act_id, place) WHERE state = 'waiting';
ALTER TABLE bulk_row ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulk_row FORCE ROW LEVEL SECURITY;
CREATE POLICY bulk_row_own ON bulk_row USING (
    (organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
     AND account_id = (SELECT nullif(current_setting('yuanshe.account', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE, DELETE ON saved_view, bulk_act, bulk_row TO yuanshe_app;
