-- Writes that their senders named (X-Request-ID) and what was answered, so that the same again gets the same again; keys that rotate.

CREATE TABLE answered (
    actor_id uuid NOT NULL,
    name bytea NOT NULL CHECK (length(name) = 32),
    content bytea NOT NULL CHECK (length(content) = 32),
    organization_id uuid NOT NULL,
    at timestamptz NOT NULL,
    status smallint NOT NULL,
    headers json NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (actor_id, name)
);
COMMENT ON TABLE answered IS 'Answers to named writes, kept for a day (practice.answers_kept) and written in the transaction of what they tell of; of a refused one, in the transaction of its audit line';
COMMENT ON COLUMN answered.name IS 'SHA-256 of the name that the sender gave the request: it could hold anything';
COMMENT ON COLUMN answered.content IS 'SHA-256 of what was asked: method, address, conditions, scopes, body';
COMMENT ON COLUMN answered.body IS 'As it went out: it can hold a person, as its sender was shown';
CREATE INDEX answered_at ON answered (at);
ALTER TABLE answered ENABLE ROW LEVEL SECURITY;
ALTER TABLE answered FORCE ROW LEVEL SECURITY;
CREATE POLICY answered_own ON answered USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, DELETE ON answered TO yuanshe_app;

GRANT UPDATE (jwks, jwks_url) ON client TO yuanshe_app;
