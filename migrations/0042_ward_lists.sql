-- A ward's own list in folders: what is open by whose turn it is, what has ended by when it did, and who placed it.

-- What the list is read by: the same expression as FOLDER in service/referrals/overview_store.py. Whose turn it is decides;
-- a follow-up is one whoever calls, and what no agency has taken is waited for.
CREATE INDEX next_step_folder ON next_step (hospital_id, (
    CASE WHEN what = 'follow-up' THEN 'follow-up' WHEN organization_id = hospital_id THEN 'mine'
         WHEN agency_id IS NULL OR what = 'accept-or-decline' THEN 'waiting' ELSE 'service' END
), by, referral_id) INCLUDE (organization_id, agency_id, what);

ALTER TABLE referral ADD COLUMN closed_at timestamptz;
COMMENT ON COLUMN referral.closed_at IS 'When it ceased to be open; empty while it is';
-- The rows are secured, from their owner too. Of what has ended before, its last version is the one that ended it.
SELECT set_config('yuanshe.platform', 'on', true);
UPDATE referral SET closed_at = updated_at WHERE NOT open;
SELECT set_config('yuanshe.platform', '', true);
ALTER TABLE referral ADD CONSTRAINT referral_closed_check CHECK (open = (closed_at IS NULL));
CREATE INDEX referral_closed ON referral (hospital_id, closed_at, id) WHERE NOT open;

-- A person's own referrals, newest first: ids are in order of time.
CREATE INDEX event_submitted ON event (by_id, referral_id) WHERE kind = 'submit';
