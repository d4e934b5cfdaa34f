-- What is looked for often, or under locks, is found by an index.

-- A merge moves a person's screenings, those entered in error too.
CREATE INDEX screening_person ON screening (patient_id);
-- Each look at the crises asks which calls nobody has acknowledged; those that somebody has stay for good.
CREATE INDEX page_unacknowledged ON page (referral_id) WHERE state = 'sent' AND acknowledged_at IS NULL;
