-- A merge of two records opens nothing that was the other's: neither by a ground given on one of them that opens only afterwards,
-- nor by a stay that is searched for, nor by a file that hangs on the person as such.

ALTER TABLE consent ADD COLUMN origin_id uuid;
COMMENT ON COLUMN consent.origin_id IS 'The record of the person on which it was given, where that was before a merge; what it opens later is opened on that record';
ALTER TABLE stay ADD COLUMN origin_id uuid;
COMMENT ON COLUMN stay.origin_id IS 'The record of the person on which it was written, where two were merged';

-- Merges that there are already: the journal of the first one says whose it was. The rows are secured, from their owner too.
SELECT set_config('yuanshe.platform', 'on', true);
UPDATE consent c SET origin_id = coalesce(
    (SELECT m.absorbed_id FROM patient_merge_row j JOIN patient_merge m ON m.id = j.merge_id
     WHERE j.kind = 'consent' AND j.row_id = c.id ORDER BY m.id LIMIT 1), c.patient_id)
WHERE EXISTS (SELECT 1 FROM patient_merge m WHERE c.patient_id IN (m.survivor_id, m.absorbed_id) AND m.id > c.id);
UPDATE stay s SET origin_id = coalesce(
    (SELECT m.absorbed_id FROM patient_merge_row j JOIN patient_merge m ON m.id = j.merge_id
     WHERE j.kind = 'stay' AND j.row_id = s.id ORDER BY m.id LIMIT 1), s.patient_id)
WHERE EXISTS (SELECT 1 FROM patient_merge m WHERE s.patient_id IN (m.survivor_id, m.absorbed_id) AND m.id > s.id);
UPDATE disclosure d SET origin_id = c.origin_id FROM consent c
WHERE c.id = d.basis_id AND c.origin_id IS NOT NULL AND d.origin_id IS NULL AND d.closed_at IS NULL;
SELECT set_config('yuanshe.platform', '', true);

ALTER POLICY stay_parties ON stay USING (
    hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR EXISTS (SELECT 1 FROM disclosure d WHERE d.patient_id = stay.patient_id AND d.closed_at IS NULL
               AND NOT 'Encounter' = ANY (d.hidden)
               AND (stay.origin_id IS NULL OR d.origin_id IS NULL OR stay.origin_id = d.origin_id)
               AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);

-- A file of a person keeps naming the record that it was put on: that is its origin, and patient_id follows the merges.
ALTER POLICY attachment_parties ON attachment USING (
    author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (context_type = 'Task' AND hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid))
    OR (context_type = 'Task' AND agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
        AND EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = attachment.referral_id AND d.closed_at IS NULL
                    AND NOT 'DocumentReference' = ANY (d.hidden)
                    AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (context_type = 'Patient' AND EXISTS (
            SELECT 1 FROM patient p WHERE p.id = attachment.context_id
            AND p.hospital_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (context_type = 'Patient' AND EXISTS (
            SELECT 1 FROM disclosure d WHERE d.patient_id = attachment.patient_id AND d.closed_at IS NULL
            AND NOT 'DocumentReference' = ANY (d.hidden)
            AND (d.origin_id IS NULL OR d.origin_id = attachment.context_id)
            AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (context_type NOT IN ('Task', 'Patient')
        AND EXISTS (SELECT 1 FROM record r WHERE r.id = attachment.context_id AND r.current)
        AND NOT EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = attachment.referral_id AND d.closed_at IS NULL
                    AND 'DocumentReference' = ANY (d.hidden)
                    AND d.agency_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)))
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
);
