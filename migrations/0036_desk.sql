-- Lists of cases on the pages: those that go on, what is due soonest first; and those that have ended, the last first.
CREATE INDEX task_cases ON task (agency_id, (coalesce(due_at, 'infinity'::timestamptz)), id)
    WHERE kind = 'share' AND status IN ('accepted', 'in-progress', 'on-hold');
CREATE INDEX case_file_ended ON case_file (agency_id, closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX case_file_ended_worker ON case_file (worker_id, closed_at, id) WHERE worker_id IS NOT NULL AND closed_at IS NOT NULL;
