-- A share that was recorded in error closes its case.

ALTER TABLE case_file DROP CONSTRAINT case_file_ending_check;
ALTER TABLE case_file ADD CONSTRAINT case_file_ending_check
    CHECK (ending IN ('complete', 'return', 'fail', 'confirm-cancel', 'void'));
