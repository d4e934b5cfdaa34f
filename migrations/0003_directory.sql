-- The directory: regions, organisations, services with their places, partnerships, workers with their licences.

CREATE TABLE region (
    code text PRIMARY KEY CHECK (code ~ '^[1-9][0-9]+$' AND length(code) IN (2, 4, 6, 9, 12)),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    valid_from date,
    valid_to date,
    superseded_by text REFERENCES region (code),
    CHECK (superseded_by <> code)
);
COMMENT ON TABLE region IS 'GB/T 2260 codes and the streets below them, without the zeros of levels left open';
COMMENT ON COLUMN region.superseded_by IS 'The code that took its place: divisions change every year, and old addresses keep old codes';

CREATE TABLE organization (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    version integer NOT NULL DEFAULT 1,
    kind text NOT NULL CHECK (kind IN ('platform', 'hospital', 'campus', 'agency', 'station', 'room', 'base')),
    part_of uuid REFERENCES organization (id),
    lineage uuid[] NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    uscc text,
    region text REFERENCES region (code),
    status text CHECK (status IN ('incubating', 'accredited', 'suspended')),
    ready boolean NOT NULL DEFAULT true,
    protection_qualified boolean NOT NULL DEFAULT false,
    co_supervised_by uuid REFERENCES organization (id),
    phone text,
    email text,
    active boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL,
    CHECK (part_of <> id),
    CHECK ((kind IN ('agency', 'station', 'room', 'base')) = (status IS NOT NULL))
);
COMMENT ON TABLE organization IS 'Hospitals with their campuses, agencies with their stations and rooms, the platform; no person in it, so no row security';
COMMENT ON COLUMN organization.key IS 'Its name in the files that the directory is loaded from';
COMMENT ON COLUMN organization.lineage IS 'Itself, then what it is part of, and so on up: a campus is served by the partnerships of its hospital';
COMMENT ON COLUMN organization.uscc IS 'Unified social credit code (GB 32100), its check digit verified when loaded';
COMMENT ON COLUMN organization.ready IS 'Its readiness checklist (premises, equipment, staff, functions, procedures, rules) has no item missing';
COMMENT ON COLUMN organization.protection_qualified IS 'May be offered safety needs (N11 to N14)';
COMMENT ON COLUMN organization.co_supervised_by IS 'The accredited agency that supervises with it while it is incubating';
CREATE UNIQUE INDEX organization_platform ON organization (kind) WHERE kind = 'platform';
CREATE INDEX organization_uscc ON organization (uscc) WHERE uscc IS NOT NULL;
CREATE INDEX organization_kind ON organization (kind, id);
CREATE INDEX organization_part_of ON organization (part_of) WHERE part_of IS NOT NULL;

CREATE TABLE agency_service (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    version integer NOT NULL DEFAULT 1,
    agency_id uuid NOT NULL REFERENCES organization (id),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    service_types text[] NOT NULL,
    needs text[] NOT NULL,
    regions text[] NOT NULL,
    populations text[] NOT NULL,
    languages text[] NOT NULL,
    capacity_status text NOT NULL CHECK (capacity_status IN ('capacity', 'no-capacity', 'waitlist', 'additional-assessment-required')),
    places integer NOT NULL CHECK (places BETWEEN 0 AND 100000),
    confirmed_at timestamptz NOT NULL,
    active boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE agency_service IS 'What an agency offers: needs, regions covered (prefixes of region codes), capacity';
COMMENT ON COLUMN agency_service.places IS 'How many shares it takes at once; each place is a row of `place`';
COMMENT ON COLUMN agency_service.confirmed_at IS 'When the agency last said what capacity it has';
CREATE INDEX agency_service_agency ON agency_service (agency_id, id);

CREATE TABLE place (
    service_id uuid NOT NULL REFERENCES agency_service (id),
    number integer NOT NULL CHECK (number > 0),
    task_id uuid,
    PRIMARY KEY (service_id, number)
) WITH (fillfactor = 70);
COMMENT ON TABLE place IS 'One row a place. A share holds one from its offer until it has ended, however it ends';
COMMENT ON COLUMN place.number IS 'Above the service''s `places`: still held, and gone when it is released';
CREATE INDEX place_free ON place (service_id, number) WHERE task_id IS NULL;
CREATE INDEX place_taken ON place (service_id, number) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX place_task ON place (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE partnership (
    id uuid PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    hospital_id uuid NOT NULL REFERENCES organization (id),
    agency_id uuid NOT NULL REFERENCES organization (id),
    valid_from date NOT NULL,
    valid_to date,
    needs text[] NOT NULL,
    rank integer NOT NULL CHECK (rank BETWEEN 1 AND 999),
    mode text NOT NULL CHECK (mode IN ('sequence', 'broadcast', 'manual')),
    reply_limits json,
    departments text[] NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (valid_to >= valid_from),
    UNIQUE (hospital_id, agency_id, valid_from)
);
COMMENT ON TABLE partnership IS 'Which agency a hospital works with, from when to when (both days included), for which needs';
COMMENT ON COLUMN partnership.rank IS '1 is asked first';
COMMENT ON COLUMN partnership.reply_limits IS 'By urgency, {"stat": {"minutes": 30, "working": false}}; what is absent is as the deployment has it';
CREATE INDEX partnership_agency ON partnership (agency_id, id);

CREATE TABLE worker (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    version integer NOT NULL DEFAULT 1,
    agency_id uuid NOT NULL REFERENCES organization (id),
    name text NOT NULL,
    grade text CHECK (grade IN ('assistant', 'certified', 'senior')),
    licensed_from date,
    licensed_to date,
    duty boolean NOT NULL DEFAULT false,
    supervisor boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    updated_at timestamptz NOT NULL,
    CHECK (licensed_to >= licensed_from),
    CHECK ((grade IS NULL) = (licensed_from IS NULL))
);
COMMENT ON TABLE worker IS 'Staff of agencies in their professional role: name, grade, licence; read by every organisation that signs in';
COMMENT ON COLUMN worker.grade IS 'Empty: not licensed';
COMMENT ON COLUMN worker.licensed_to IS 'The last day of the licence; empty: without end';
COMMENT ON COLUMN worker.duty IS 'Takes a case that nobody else was named for';
CREATE INDEX worker_agency ON worker (agency_id, id);
ALTER TABLE worker ENABLE ROW LEVEL SECURITY;
ALTER TABLE worker FORCE ROW LEVEL SECURITY;
CREATE POLICY worker_read ON worker FOR SELECT USING (
    (SELECT nullif(current_setting('yuanshe.organization', true), '')) IS NOT NULL
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
CREATE POLICY worker_write ON worker FOR ALL USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

CREATE TABLE worker_certificate (
    worker_id uuid PRIMARY KEY REFERENCES worker (id),
    agency_id uuid NOT NULL,
    number text NOT NULL
);
COMMENT ON TABLE worker_certificate IS 'The number on a licence, which only the worker''s own agency and the platform read';
ALTER TABLE worker_certificate ENABLE ROW LEVEL SECURITY;
ALTER TABLE worker_certificate FORCE ROW LEVEL SECURITY;
CREATE POLICY worker_certificate_own ON worker_certificate USING (
    agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

GRANT SELECT, INSERT, UPDATE ON region, organization, agency_service, place, partnership, worker, worker_certificate TO yuanshe_app;
GRANT DELETE ON place TO yuanshe_app;
