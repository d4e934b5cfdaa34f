"""Pages of lists: how many a page holds, the addresses of pages, and the cursors in them, which name nobody."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from service.errors import Malformed

PAGE, LARGEST = 50, 200
"""Entries of a page: unasked, and at most."""

Place = TypeVar("Place")


def size(value: str, *, least: int = 0) -> int:
    """`_count`: how many a page is to hold; more than LARGEST is understood as that. Raises Malformed."""
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) >= least):
        raise Malformed(f"_count is a number{f' from {least}' if least else ''}.", code="invalid")
    return min(int(value), LARGEST)


def query(params: Sequence[tuple[str, str]]) -> str:
    """What stands behind an address, with its question mark; nothing where nothing is asked."""
    return f"?{urlencode(params, quote_via=quote, safe=':/,')}" if params else ""


def links(address: str, used: Sequence[tuple[str, str]], following: Any = None) -> list[dict[str, str]]:
    """The links of a page: `self`, and `next` where the list goes on behind the place `following`."""
    found = [{"relation": "self", "url": address + query(used)}]
    if following is not None:
        cursor = base64.urlsafe_b64encode(msgspec.json.encode(following)).decode().rstrip("=")
        again = [pair for pair in used if pair[0] != "_cursor"]
        found.append({"relation": "next", "url": address + query([*again, ("_cursor", cursor)])})
    return found


def place(cursor: str, type: type[Place]) -> Place:
    """The place that a cursor of ours names. Raises Malformed."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=type)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise strange() from None


def strange() -> Malformed:
    return Malformed("This page link is not one of ours.", code="invalid")
