"""Actors, roles, policy, audit: the one door to patient rows."""
