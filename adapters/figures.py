"""The figures of this process for Prometheus: how many requests of which kind, how long, how they ended. Nobody is in them.

Labels are words of the table of the surface and numbers of statuses, never an id, a path, an organisation or a text
(docs/decisions/metrics.md).
"""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

SECONDS = Histogram(
    "yuanshe_request_seconds",
    "Requests of the FHIR surface by interaction and type of resource, from the head read to the answer sent",
    ["interaction", "type"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.1, 5.0),  # 2.1 and 5 are what BaRS asks for.
)
REFUSED = Counter("yuanshe_refused", "Requests of the FHIR surface that were refused or failed, by status", ["status"])
TOKENS = Counter("yuanshe_token", "Exchanges of an assertion for a token, by how they ended", ["outcome"])
DELIVERIES = Gauge("yuanshe_deliveries", "Notices to subscribers by state, of the whole service", ["state"])
SILENT = Gauge("yuanshe_worker_silent_seconds", "For how long no worker was heard of")

NO_PLACE = ("none", "none")
"""The labels of what is nowhere in the table."""


@lru_cache(maxsize=1024)
def _seconds(interaction: str, type: str) -> Histogram:
    # Looking a child up takes its parent's lock.
    return SECONDS.labels(interaction, type)


def answered(what: tuple[str, str], status: int, seconds: float) -> None:
    """Count one request of the surface: `what` is its interaction and type, as the table has them."""
    _seconds(*what).observe(seconds)
    if status >= 400:
        REFUSED.labels(str(status)).inc()
