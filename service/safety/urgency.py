"""How urgent a need is in effect: never less than its floor, and stat when a crisis is up (domain d-2, d-4)."""

from service import codes
from service.values import more_urgent


def effective(placed: str, needs: tuple[str, ...], signs_crisis: bool) -> str:
    """The placer's urgency, raised by the floors of the needs and by signs of danger; never lowered."""
    urgency = more_urgent(placed, codes.floor_urgency(needs))
    return "stat" if signs_crisis else urgency
