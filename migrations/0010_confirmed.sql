-- A deadline counted over days of a year whose working days nobody has published yet says so.

ALTER TABLE next_step ADD COLUMN confirmed boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN next_step.confirmed IS 'False: by was counted in working time over a year whose calendar is not known yet (Monday to Friday was assumed)';
