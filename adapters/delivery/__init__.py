"""Delivery: posts notices that somebody else rendered, signed, to checked addresses, and reports what came of it."""
