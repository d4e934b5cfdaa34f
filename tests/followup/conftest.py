"""Follow-ups happen in the same small town as casework."""

from tests.casework.conftest import town

__all__ = ["town"]
