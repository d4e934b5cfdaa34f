"""Notices: who wants to hear of events, what was sent to whom, and whether it arrived."""
