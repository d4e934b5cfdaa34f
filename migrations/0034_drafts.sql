-- What a ward has begun to refer and not sent yet: each person's own, forgotten after a while.
CREATE TABLE referral_draft (
    id uuid PRIMARY KEY,
    hospital_id uuid NOT NULL REFERENCES organization,
    account_id uuid NOT NULL REFERENCES account,
    content json,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    referral_id uuid,
    CHECK ((content IS NULL) = (referral_id IS NOT NULL))
);
COMMENT ON TABLE referral_draft IS 'A form to refer somebody as far as it is filled in; when it is sent, only which referral it became stays, so that it is sent once';
COMMENT ON COLUMN referral_draft.content IS 'The fields as they were typed, a list of values for each; of a person, so it stands in no log and goes with the sending';
COMMENT ON COLUMN referral_draft.changed_at IS 'When it was last typed in: some days later it is forgotten';
COMMENT ON COLUMN referral_draft.referral_id IS 'The referral that it became';
CREATE INDEX referral_draft_account ON referral_draft (account_id, changed_at DESC, id) WHERE referral_id IS NULL;
CREATE INDEX referral_draft_changed ON referral_draft (changed_at);
ALTER TABLE referral_draft ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral_draft FORCE ROW LEVEL SECURITY;
-- Whoever types it reads it; a coordinator, who reads every referral, reads none of these. The service's clock forgets them.
CREATE POLICY referral_draft_own ON referral_draft USING (
    (hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
     AND account_id = (SELECT nullif(current_setting('yuanshe.account', true), '')::uuid))
    OR ((SELECT current_setting('yuanshe.platform', true)) = 'on' AND (SELECT current_setting('yuanshe.role', true)) = 'platform')
);
GRANT SELECT, INSERT, UPDATE, DELETE ON referral_draft TO yuanshe_app;

-- A ward knows a number and not the system that a program gives it under.
CREATE INDEX stay_number_value ON stay (hospital_id, number) WHERE number IS NOT NULL;
