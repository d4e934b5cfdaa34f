"""Who could take a referral, in what order, and why the others not."""
