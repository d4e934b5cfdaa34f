"""What a region code covers: levels of two, four, six, nine and twelve digits, compared by prefix."""

from functools import lru_cache

LEVELS = (2, 4, 6, 9, 12)


def stripped(code: str) -> str:
    """The code without the zeros of levels left open: 520502000 → 520502, 520500 → 5205 (GB/T 2260, GB/T 10114).

    A code whose length is no level is returned as it is.
    """
    if len(code) not in LEVELS:
        return code
    lower = 0
    for level in reversed([level for level in LEVELS if level < len(code)]):
        if code[level:].strip("0"):
            break
        lower = level
    return code[:lower] if lower else code


def well_formed(code: str) -> bool:
    """Digits only, of a length that is a level, not beginning with a zero."""
    return code.isascii() and code.isdigit() and len(code) in LEVELS and not code.startswith("0")


@lru_cache(maxsize=65536)
def covering(regions: tuple[str, ...], code: str) -> int:
    """How many digits of `code` the longest of `regions` covers; 0 where none does; -1 where nobody can tell.

    Nobody can tell when `code` is the shorter of the two: the person lives somewhere in a region of which a part is covered.
    """
    longest = max((len(region) for region in regions if code.startswith(region)), default=0)
    if longest:
        return longest
    return -1 if any(region.startswith(code) for region in regions) else 0
