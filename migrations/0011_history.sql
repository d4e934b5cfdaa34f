-- The history of a type: what one side may see of its versions, newest first. A version is written once, at the end of its side's part.

CREATE INDEX task_version_hospital ON task_version (hospital_id, at DESC, task_id DESC, version DESC);
CREATE INDEX task_version_agency ON task_version (agency_id, at DESC, task_id DESC, version DESC) WHERE agency_id IS NOT NULL;
CREATE INDEX referral_version_hospital ON referral_version (hospital_id, at DESC, referral_id DESC, version DESC);
CREATE INDEX record_patients ON record (hospital_id, at DESC, id DESC, version DESC) WHERE type = 'Patient';
