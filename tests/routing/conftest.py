"""A pool on the test's own database, with the demo network in it where a test asks."""

from tests.directory.conftest import demo, pool

__all__ = ["demo", "pool"]
