"""Discharge, the follow-up schedule, contact attempts and outcomes."""
