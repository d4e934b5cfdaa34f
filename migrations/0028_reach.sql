-- Whom the service reaches: flags of special hardship on a referral, and contacts by region.

CREATE TABLE referral_population (
    referral_id uuid NOT NULL,
    hospital_id uuid NOT NULL,
    code text NOT NULL,
    PRIMARY KEY (referral_id, code)
);
COMMENT ON TABLE referral_population IS 'Groups in special hardship that a hospital named with its referral (urn:yuanshe:population): to find and count by, never a reason to refuse';
CREATE INDEX referral_population_code ON referral_population (code, referral_id);
ALTER TABLE referral_population ENABLE ROW LEVEL SECURITY;
ALTER TABLE referral_population FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_population_parties ON referral_population USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = referral_population.referral_id AND d.closed_at IS NULL
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT ON referral_population TO yuanshe_app;

-- How often whom was met, by time.
CREATE INDEX intervention_met ON intervention (agency_id, started_at) WHERE status IN ('in-progress', 'completed');
CREATE INDEX contact_attempt_met ON contact_attempt (owner_id, at) WHERE reached;
