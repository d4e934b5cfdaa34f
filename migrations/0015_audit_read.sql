-- The audit as its readers ask for it: by time, by who, by what. Every index here is partial: a line enters it when the
-- chaining job gives it its place, so that no request pays for it.

CREATE INDEX audit_by_change ON audit (chained_at, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_time ON audit (at, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_organization ON audit (organization_id, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (actor_id, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_outcome ON audit (outcome, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_interaction ON audit (interaction, id) WHERE position IS NOT NULL;
CREATE INDEX audit_by_resource ON audit (resource_id, id) WHERE position IS NOT NULL AND resource_id IS NOT NULL;

CREATE TABLE audit_referral (
    referral_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (referral_id, position)
);
COMMENT ON TABLE audit_referral IS 'Who touched which referral: filled by the chaining job, as audit_patient is';
-- What was chained before: the owner is bound by the policies too.
SELECT set_config('yuanshe.platform', 'on', true);
INSERT INTO audit_referral SELECT DISTINCT unnest(referrals), position FROM audit WHERE position IS NOT NULL;
SELECT set_config('yuanshe.platform', '', true);
ALTER TABLE audit_referral ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_referral FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_referral_written_by_job ON audit_referral FOR INSERT
    WITH CHECK ((SELECT current_setting('yuanshe.platform', true)) = 'on');
CREATE POLICY audit_referral_read_by_auditors ON audit_referral FOR SELECT USING (
    (SELECT current_setting('yuanshe.role', true)) = 'auditor'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT ON audit_referral TO yuanshe_app;
