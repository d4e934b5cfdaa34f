"""Exports in bulk: who asked for what, how far each is, and its files until they expire."""
