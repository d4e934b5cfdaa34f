"""Clients that were not written here, let loose on the running service."""
