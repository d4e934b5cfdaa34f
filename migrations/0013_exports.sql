-- Exports in bulk: what each client asked for, how far the worker is, and the files, until they expire.

CREATE TABLE export (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    client_id uuid NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    level text NOT NULL CHECK (level IN ('system', 'patient', 'group')),
    group_organization uuid,
    group_need text,
    persons uuid[],
    types text[] NOT NULL,
    since timestamptz,
    base text NOT NULL,
    request text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    asked_at timestamptz NOT NULL,
    transaction_time timestamptz,
    stage integer NOT NULL DEFAULT 0,
    person uuid,
    row_id text,
    rows bigint NOT NULL DEFAULT 0,
    stumbles integer NOT NULL DEFAULT 0,
    worked_at timestamptz NOT NULL,
    polled_at timestamptz,
    expires_at timestamptz,
    CHECK ((state = 'running') = (expires_at IS NULL)),
    CHECK ((level = 'group') = (group_organization IS NOT NULL AND group_need IS NOT NULL))
);
COMMENT ON TABLE export IS 'A Bulk Data export: asked for by a client, written page by page by workers';
COMMENT ON COLUMN export.client_id IS 'With role, name and scopes: the actor in whose row scope each page is read';
COMMENT ON COLUMN export.persons IS 'The persons asked for by id; empty: all that the level and the actor''s row scope hold';
COMMENT ON COLUMN export.base IS 'Address of the surface at which it was asked for: what its manifest and its lines name is there';
COMMENT ON COLUMN export.transaction_time IS 'Whatever changed before is in the export; set when a worker begins';
COMMENT ON COLUMN export.stage IS 'With person and row_id: how far it is written, stored with each page';
COMMENT ON COLUMN export.stumbles IS 'Failures since the last page that was written';
COMMENT ON COLUMN export.worked_at IS 'When a page was last written: the export that waited longest is next';
COMMENT ON COLUMN export.polled_at IS 'When its client last asked how it fares';
CREATE INDEX export_next ON export (worked_at) WHERE state = 'running';
CREATE INDEX export_of_client ON export (client_id) WHERE state = 'running';
CREATE INDEX export_expired ON export (expires_at) WHERE state <> 'running';
ALTER TABLE export ENABLE ROW LEVEL SECURITY;
ALTER TABLE export FORCE ROW LEVEL SECURITY;
CREATE POLICY export_own ON export USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE export_part (
    export_id uuid NOT NULL,
    type text NOT NULL,
    file integer NOT NULL,
    part integer NOT NULL,
    organization_id uuid NOT NULL,
    rows integer NOT NULL,
    size integer NOT NULL,
    content bytea NOT NULL,
    persons uuid[] NOT NULL,
    PRIMARY KEY (export_id, type, file, part)
);
COMMENT ON TABLE export_part IS 'A piece of an exported file; a file is its pieces in order';
COMMENT ON COLUMN export_part.size IS 'Octets of the NDJSON';
COMMENT ON COLUMN export_part.content IS 'The NDJSON, deflated (zlib)';
COMMENT ON COLUMN export_part.persons IS 'Of an agency''s export: who is in it, so that it is given out no more once a disclosure ends';
-- It is deflated already, and always read whole.
ALTER TABLE export_part ALTER COLUMN content SET STORAGE EXTERNAL;
ALTER TABLE export_part ENABLE ROW LEVEL SECURITY;
ALTER TABLE export_part FORCE ROW LEVEL SECURITY;
CREATE POLICY export_part_own ON export_part USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

-- Which disclosures of an agency ended since: asked at each download.
CREATE INDEX disclosure_ended ON disclosure (agency_id, closed_at) WHERE closed_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON export TO yuanshe_app;
GRANT SELECT, INSERT, DELETE ON export_part TO yuanshe_app;
