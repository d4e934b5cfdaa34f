"""Consents, lawful bases, and what they opened."""
