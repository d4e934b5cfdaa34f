"""Identity in tables of its own, hospital stays."""
