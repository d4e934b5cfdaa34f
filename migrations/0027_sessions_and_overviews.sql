-- People at the pages: who is signed in, and how often somebody tried in vain.

CREATE TABLE web_session (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    account_id uuid NOT NULL REFERENCES account,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en'))
);
COMMENT ON TABLE web_session IS 'A person of staff signed in at a browser; deleted when they leave, when it is revoked, or some time after its end';
COMMENT ON COLUMN web_session.digest IS 'SHA-256 of the cookie, which stands nowhere';
COMMENT ON COLUMN web_session.seen_at IS 'When it was last used, to the minute: idle for too long, it ends';
COMMENT ON COLUMN web_session.ends_at IS 'When it ends in any case';
CREATE INDEX web_session_account ON web_session (account_id);
CREATE INDEX web_session_ended ON web_session (ends_at);

CREATE TABLE sign_in_failure (
    login_digest bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);
COMMENT ON TABLE sign_in_failure IS 'Logins at which somebody failed lately, whether they exist or not: so the answer does not say which do';
COMMENT ON COLUMN sign_in_failure.login_digest IS 'SHA-256 of the login as it was given';
CREATE INDEX sign_in_failure_last ON sign_in_failure (last_at);

ALTER TABLE account ADD COLUMN totp_secret text, ADD COLUMN totp_used bigint;
COMMENT ON COLUMN account.totp_secret IS 'Base32 secret of a one-time password generator (RFC 6238); empty: the password alone';
COMMENT ON COLUMN account.totp_used IS 'The 30-second step of the last code that was taken: a code is taken once';

GRANT SELECT, INSERT, UPDATE, DELETE ON web_session, sign_in_failure TO yuanshe_app;
GRANT UPDATE (totp_secret, totp_used) ON account TO yuanshe_app;

-- What is open, soonest due first, as each side of a referral looks at it.
CREATE INDEX next_step_hospital ON next_step (hospital_id, by, referral_id);
CREATE INDEX next_step_agency ON next_step (agency_id, by, referral_id) WHERE agency_id IS NOT NULL;
