-- Who may come in: client programs and their tokens, accounts of staff; and the audit of what each of them did.

CREATE TABLE client (
    id uuid PRIMARY KEY,
    client_id text NOT NULL UNIQUE,
    organization_id uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('hospital', 'agency', 'platform', 'auditor')),
    name text NOT NULL,
    scope text NOT NULL,
    jwks json,
    jwks_url text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK ((jwks IS NULL) <> (jwks_url IS NULL))
);
COMMENT ON TABLE client IS 'Programs that may exchange a signed assertion for a token (SMART Backend Services); no person in it, so no row security: it is read before anybody is known';
COMMENT ON COLUMN client.client_id IS 'The name the program gives itself: iss and sub of its assertions';
COMMENT ON COLUMN client.scope IS 'The most it may be granted: SMART system scopes, blank-separated';
COMMENT ON COLUMN client.jwks IS 'Its public keys; or else jwks_url says where they are published';
CREATE INDEX client_organization ON client (organization_id, id);

CREATE TABLE assertion_id (
    client_id uuid NOT NULL REFERENCES client (id),
    jti text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);
COMMENT ON TABLE assertion_id IS 'Assertions already spent; a row may go when its assertion could no longer be used anyway';
CREATE INDEX assertion_id_expired ON assertion_id (expires_at);

CREATE TABLE access_token (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    client_id uuid NOT NULL REFERENCES client (id),
    scope text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz
);
COMMENT ON TABLE access_token IS 'Tokens in use, as SHA-256 of the opaque random token: who reads this table can use none of them';
COMMENT ON COLUMN access_token.expires_at IS 'Empty: lives as long as the database (the demo''s)';
CREATE INDEX access_token_expired ON access_token (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX access_token_client ON access_token (client_id);

CREATE TABLE account (
    id uuid PRIMARY KEY,
    login text NOT NULL UNIQUE CHECK (login = lower(login) AND login <> ''),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('referrer', 'social_worker', 'supervisor', 'coordinator', 'administrator', 'auditor')),
    organization_id uuid NOT NULL,
    worker_id uuid,
    name text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE account IS 'Staff who may sign in';
COMMENT ON COLUMN account.password_hash IS 'Argon2id, with its parameters';
COMMENT ON COLUMN account.worker_id IS 'The worker of the directory that this person is, if any';
CREATE INDEX account_organization ON account (organization_id, id);
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
CREATE POLICY account_own ON account USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE audit (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_id uuid NOT NULL,
    actor_kind text NOT NULL CHECK (actor_kind IN ('client', 'person', 'system')),
    actor_role text NOT NULL,
    organization_id uuid NOT NULL,
    action text NOT NULL CHECK (action IN ('C', 'R', 'U', 'D', 'E')),
    interaction text NOT NULL,
    resource_type text,
    resource_id uuid,
    outcome text NOT NULL CHECK (outcome IN ('success', 'refused', 'error')),
    why text,
    request_id text,
    patients uuid[] NOT NULL DEFAULT '{}',
    referrals uuid[] NOT NULL DEFAULT '{}',
    platform_reasons text[] NOT NULL DEFAULT '{}',
    position bigint,
    chained_at timestamptz,
    previous_hash bytea,
    hash bytea,
    CHECK (num_nulls(position, chained_at, previous_hash, hash) IN (0, 4)),
    CHECK ((outcome = 'success') = (why IS NULL))
);
COMMENT ON TABLE audit IS 'One row a request: who did what to whose data, the refused attempts too; written unchained, chained later in commit order';
COMMENT ON COLUMN audit.action IS 'FHIR audit-event-action: create, read, update, delete, execute';
COMMENT ON COLUMN audit.why IS 'Of a refusal: its key or issue code; of an error: the kind of exception. Never its text';
COMMENT ON COLUMN audit.patients IS 'The persons whose data the request touched';
COMMENT ON COLUMN audit.platform_reasons IS 'Why the request looked beyond its own organisation''s rows';
COMMENT ON COLUMN audit.position IS 'Place in commit order, given by the chaining job';
COMMENT ON COLUMN audit.hash IS 'SHA-256 of previous_hash and the row in canonical form (service/access/chain.py)';
CREATE UNIQUE INDEX audit_position ON audit (position) WHERE position IS NOT NULL;
CREATE INDEX audit_unchained ON audit (id) WHERE position IS NULL;
-- Chaining rewrites a row once: room on its own page keeps the table from spreading.
ALTER TABLE audit SET (fillfactor = 60);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_written_by_all ON audit FOR INSERT WITH CHECK (position IS NULL);
CREATE POLICY audit_read_by_auditors ON audit FOR SELECT USING (
    (SELECT current_setting('yuanshe.role', true)) = 'auditor'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY audit_chained_once ON audit FOR UPDATE
    USING (position IS NULL AND (SELECT current_setting('yuanshe.platform', true)) = 'on')
    WITH CHECK (position IS NOT NULL);

CREATE TABLE audit_patient (
    patient_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (patient_id, position)
);
COMMENT ON TABLE audit_patient IS 'Who saw whom: filled by the chaining job, so that no request pays for an index over an array';
ALTER TABLE audit_patient ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_patient FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_patient_written_by_job ON audit_patient FOR INSERT
    WITH CHECK ((SELECT current_setting('yuanshe.platform', true)) = 'on');
CREATE POLICY audit_patient_read_by_auditors ON audit_patient FOR SELECT USING (
    (SELECT current_setting('yuanshe.role', true)) = 'auditor'
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT ON client, assertion_id, access_token, account, audit, audit_patient TO yuanshe_app;
GRANT UPDATE (revoked_at) ON client TO yuanshe_app;
GRANT UPDATE (password_hash, active) ON account TO yuanshe_app;
GRANT UPDATE (position, chained_at, previous_hash, hash) ON audit TO yuanshe_app;
GRANT DELETE ON assertion_id, access_token TO yuanshe_app;
