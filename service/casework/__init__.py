"""The agency's work: accept, start, hold, complete, fail; the case and what was done in it."""
