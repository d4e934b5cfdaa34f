"""The demo: a network of invented partners, its clients and people, one real referral, and a supervisor."""
