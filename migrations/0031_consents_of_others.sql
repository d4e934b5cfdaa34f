-- An agency reads the consents that name it: another one's would say who else is asked to work with the person, and on what. The
-- signed paper goes with the Consent that it belongs to.
CREATE POLICY record_consents ON record AS RESTRICTIVE FOR SELECT USING (
    type <> 'Consent'
    OR author_id = (SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)
    OR (SELECT current_setting('yuanshe.platform', true)) = 'on'
    OR strpos(lower(body::text), (SELECT nullif(current_setting('yuanshe.organization', true), ''))) > 0
);
