"""What a file is, told from its first bytes: the name that it came under is believed only where the content bears it out."""

from service.errors import Invalid, TooLarge, UnsupportedMedia
from service.practice import Practice

_MARKS = (
    ("application/pdf", b"%PDF-"),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
)
_ODD = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
"""Control characters that no text holds."""
KNOWN = (*(media for media, _ in _MARKS), "text/plain")
"""What can be told; a deployment allows some of them (Practice.attachment_types)."""
SUFFIXES = {"application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg", "text/plain": ".txt"}


def sniffed(content: bytes) -> str | None:
    """The media type of the content; None for one that is not known here."""
    for media, mark in _MARKS:
        if content.startswith(mark):
            return media
    if not _ODD.isdisjoint(content):
        return None
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    return "text/plain"


def checked(content: bytes, declared: str, practice: Practice, at: str) -> str:
    """The media type to keep it under. `declared`: what its sender calls it; parameters are left out.

    Raises TooLarge, UnsupportedMedia for a type that this deployment does not take, Invalid for an empty content and for
    one that is not what it is called.
    """
    media = declared.partition(";")[0].strip().lower()
    if media not in practice.attachment_types or media not in KNOWN:
        raise UnsupportedMedia(f"Files of these types are taken: {', '.join(practice.attachment_types)}.", at=at)
    if not content:
        raise Invalid("The file is empty.", at=at, code="required")
    if len(content) > practice.attachment_octets:
        raise TooLarge(f"A file has at most {practice.attachment_octets} octets.", at=at)
    if sniffed(content) != media:
        raise Invalid(
            f"The content is not {media}: send it under its own type{' as UTF-8' if media == 'text/plain' else ''}.",
            at=at, code="value", key="other-content",
        )  # fmt: skip
    return media
