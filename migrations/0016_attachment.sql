-- Files that come along: what is known of each; the content lies outside the tables, under its SHA-256.

CREATE TABLE attachment (
    id uuid PRIMARY KEY,
    author_id uuid NOT NULL,
    media_type text NOT NULL,
    octets integer NOT NULL CHECK (octets > 0),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    context_type text,
    context_id uuid,
    hospital_id uuid,
    agency_id uuid,
    patient_id uuid,
    referral_id uuid,
    at timestamptz NOT NULL,
    CHECK ((context_type IS NULL) = (context_id IS NULL))
);
COMMENT ON TABLE attachment IS 'Files: who reads one is who reads the resource that it belongs to (its context); without a context, its author alone';
COMMENT ON COLUMN attachment.sha256 IS 'Of the content, and its name on disk; two rows may share one file';
COMMENT ON COLUMN attachment.agency_id IS 'Of a file that belongs to a Task: the agency whose Task it is, which reads it while identity is disclosed to it';
CREATE INDEX attachment_context ON attachment (context_id) WHERE context_id IS NOT NULL;
ALTER TABLE attachment ENABLE ROW LEVEL SECURITY;
ALTER TABLE attachment FORCE ROW LEVEL SECURITY;
CREATE POLICY attachment_parties ON attachment USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (context_type = 'Task' AND hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (context_type = 'Task' AND agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
        AND EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = attachment.referral_id AND d.closed_at IS NULL
                    AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (context_type = 'Patient' AND EXISTS (SELECT 1 FROM patient p WHERE p.id = attachment.context_id))
    OR (context_type NOT IN ('Task', 'Patient')
        AND EXISTS (SELECT 1 FROM record r WHERE r.id = attachment.context_id AND r.current))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT ON attachment TO yuanshe_app;
