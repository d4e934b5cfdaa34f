-- Duties: what is owed on a referral beside its one next step, each a Task of its own kind.

ALTER TABLE task DROP CONSTRAINT task_kind_check;
ALTER TABLE task ADD CONSTRAINT task_kind_check CHECK (kind IN ('parent', 'share', 'follow-up', 'duty'));
COMMENT ON TABLE task IS 'One row a Task: the parent, an agency''s share, a follow-up, a duty. What lists need is in columns, the whole in the current version';
COMMENT ON COLUMN task.agency_id IS 'The agency that owns a share or a follow-up, or the organisation that owes a duty; empty: an offer open to every eligible partner, a parent, or what the hospital does itself';
-- The clock looks for duties whose limit has passed and was not told of.
CREATE INDEX task_duties_due ON task (due_at) WHERE kind = 'duty' AND open AND business_status IS NULL;
