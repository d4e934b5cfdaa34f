-- The call list: open follow-ups of whoever owns them, by when their window closes; and what was done about them today.

CREATE INDEX task_calls_of_agency ON task (agency_id, due_at, id) WHERE kind = 'follow-up' AND open;
CREATE INDEX task_calls_of_hospital ON task (hospital_id, due_at, id) WHERE kind = 'follow-up' AND open AND agency_id IS NULL;
CREATE INDEX task_calls_of_worker ON task (worker_id, due_at, id) WHERE kind = 'follow-up' AND open;
-- A hospital's duties, for those that a page asks for: a new need that waits to be referred.
CREATE INDEX task_duties_of_hospital ON task (hospital_id, due_at, id) WHERE kind = 'duty' AND open;
-- Whom an organisation tried to reach since this morning.
CREATE INDEX contact_attempt_owner ON contact_attempt (owner_id, recorded_at, id);
