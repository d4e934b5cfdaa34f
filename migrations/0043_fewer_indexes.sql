-- Indexes of hot tables that no question needs any more: each of them costs every move of the loop.

-- Lists of what is owed walk their hospital's, their agency's or everybody's; nobody asks by who owes it or by its worker.
DROP INDEX next_step_owner;
DROP INDEX next_step_worker;
-- A person has few referrals: their own index finds the open ones among them.
DROP INDEX referral_open_patient;
