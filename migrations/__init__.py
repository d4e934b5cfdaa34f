"""Numbered plain SQL, forward only; read by `service.db.migrate`."""
