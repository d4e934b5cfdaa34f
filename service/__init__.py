"""Words, rules and transactions of medical social work referral; knows no protocol."""
