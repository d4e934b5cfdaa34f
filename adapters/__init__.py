"""Protocols: each translates foreign words to the service's words and back."""
