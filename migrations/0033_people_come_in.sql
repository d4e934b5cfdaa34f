-- How people come in: through their organisation's own provider as well; and what they see of their own sessions.

ALTER TABLE account ALTER COLUMN password_hash DROP NOT NULL;
COMMENT ON COLUMN account.password_hash IS 'Argon2id, with its parameters; empty: they sign in through their organisation''s provider alone';

CREATE TABLE account_link (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id uuid NOT NULL REFERENCES account,
    linked_at timestamptz NOT NULL,
    how text NOT NULL CHECK (how IN ('command', 'claim')),
    PRIMARY KEY (issuer, subject)
);
COMMENT ON TABLE account_link IS 'Whom a provider of sign-in vouches for: its name of a person, and our account';
COMMENT ON COLUMN account_link.subject IS 'The provider''s own lasting name of the person (sub), which means nothing elsewhere';
COMMENT ON COLUMN account_link.how IS 'Linked by an administrator, or when the provider first named the account''s login';
CREATE UNIQUE INDEX account_link_account ON account_link (account_id, issuer);
ALTER TABLE account_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_link FORCE ROW LEVEL SECURITY;
CREATE POLICY account_link_at_the_door ON account_link USING ((SELECT current_setting('yuanshe.platform', true)) = 'on');

CREATE TABLE sign_in_attempt (
    state_digest bytea PRIMARY KEY,
    browser_digest bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    next text NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE sign_in_attempt IS 'Somebody led to the provider who is not back yet; taken once, forgotten after minutes';
COMMENT ON COLUMN sign_in_attempt.state_digest IS 'SHA-256 of the state that comes back';
COMMENT ON COLUMN sign_in_attempt.browser_digest IS 'SHA-256 of the cookie of the browser that was led away: no other may come back';
COMMENT ON COLUMN sign_in_attempt.verifier IS 'What only we can show the provider when the code is exchanged (PKCE)';
COMMENT ON COLUMN sign_in_attempt.next IS 'Path of our own to go on to';
CREATE INDEX sign_in_attempt_made ON sign_in_attempt (made_at);

ALTER TABLE web_session ADD COLUMN issuer text, ADD COLUMN browser text, ADD COLUMN offered_secret text;
COMMENT ON COLUMN web_session.issuer IS 'The provider that vouched for the person; empty: they gave a password';
COMMENT ON COLUMN web_session.browser IS 'Kind of browser and of machine, so that its person knows it again';
COMMENT ON COLUMN web_session.offered_secret IS 'Secret of a one-time password generator that is shown and not confirmed yet';

GRANT SELECT, INSERT, DELETE ON account_link, sign_in_attempt TO yuanshe_app;

-- What a search looks for: the placer's number, a person's number, a name from its beginning (those operators are leakproof, so
-- that an index serves below the row policies), and what is open for a need.
CREATE INDEX referral_placer_value ON referral (placer_value, id);
CREATE INDEX referral_patient ON referral (patient_id, id);
CREATE INDEX referral_open_needs ON referral (id) INCLUDE (hospital_id, needs) WHERE open;
CREATE INDEX patient_identifier_value ON patient_identifier (value, hospital_id);
CREATE INDEX patient_name ON patient (name text_pattern_ops, id);
CREATE INDEX patient_hospital_name ON patient (hospital_id, name text_pattern_ops, id);
