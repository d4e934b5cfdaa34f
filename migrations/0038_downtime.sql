-- For when the service is away: each organisation's open work as a list, made every hour; and what was done meanwhile, entered afterwards.

CREATE TABLE downtime_list (
    organization_id uuid NOT NULL,
    slot timestamptz NOT NULL,
    ward text NOT NULL,
    made_at timestamptz NOT NULL,
    lines json NOT NULL,
    count integer NOT NULL,
    more boolean NOT NULL,
    PRIMARY KEY (organization_id, slot, ward)
);
COMMENT ON TABLE downtime_list IS 'An organisation''s open work as it stood at an hour, to be printed: read by that organisation alone; the last 24 hours'' are kept';
COMMENT ON COLUMN downtime_list.slot IS 'The full hour that it was made for';
COMMENT ON COLUMN downtime_list.ward IS 'Of a hospital the ward as the hospital calls it; empty: an agency''s, or who lies on no ward';
COMMENT ON COLUMN downtime_list.made_at IS 'When it was made: what came later is not in it';
COMMENT ON COLUMN downtime_list.lines IS 'Structs of service.casework.downtime: a number, whose turn it is, times; of a person no more than a call needs, and that only where it is safe';
COMMENT ON COLUMN downtime_list.more IS 'There was more than a list holds';
ALTER TABLE downtime_list ENABLE ROW LEVEL SECURITY;
ALTER TABLE downtime_list FORCE ROW LEVEL SECURITY;
CREATE POLICY downtime_list_own ON downtime_list USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT, DELETE ON downtime_list TO yuanshe_app;

CREATE TABLE downtime_entry (
    id uuid PRIMARY KEY,
    batch_id uuid NOT NULL,
    place integer NOT NULL,
    organization_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    performed_at timestamptz,
    what text NOT NULL,
    referral_id uuid,
    task_id uuid,
    why text NOT NULL,
    refused text
);
COMMENT ON TABLE downtime_entry IS 'What was entered after a time without the service, row by row, with what came of it; read by the organisation that entered it';
COMMENT ON COLUMN downtime_entry.batch_id IS 'The rows that were sent together';
COMMENT ON COLUMN downtime_entry.performed_at IS 'When it was done, by who entered it; the service acts on it from recorded_at on';
COMMENT ON COLUMN downtime_entry.refused IS 'Why it was not taken, in the words told to who entered it; empty: it was';
CREATE INDEX downtime_entry_batch ON downtime_entry (batch_id, place);
ALTER TABLE downtime_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE downtime_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY downtime_entry_own ON downtime_entry USING (
    organization_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
GRANT SELECT, INSERT ON downtime_entry TO yuanshe_app;
