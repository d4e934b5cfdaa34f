"""The frames of MLLP: VT, a message, FS, CR; told from whatever a connection brings, in pieces of any size."""

from enum import Enum

VT, FS, CR = 0x0B, 0x1C, 0x0D
_START, _END = bytes([VT]), bytes([FS])


class Broken(Enum):
    """A frame that cannot be taken whole."""

    TOO_LONG = "too-long"


class Frames:
    """Cuts a stream into messages. What stands before a VT is passed over; a VT within a frame begins it anew, because
    its sender broke off: no character set that is read here has it in a message."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._held = bytearray()
        self._inside = False
        self._scanned = 0

    @property
    def inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._inside

    def feed(self, data: bytes) -> list[bytes | Broken]:
        """The messages that this piece completes, in their order. After `Broken` nothing more is read of this connection."""
        self._held += data
        found: list[bytes | Broken] = []
        while True:
            if not self._inside:
                start = self._held.find(_START)
                if start < 0:
                    # Also the CR of a frame before; nothing of it is kept.
                    self._held.clear()
                    return found
                del self._held[: start + 1]
                self._inside, self._scanned = True, 0
            end = self._held.find(_END, self._scanned)
            anew = self._held.rfind(_START, self._scanned, end if end >= 0 else len(self._held))
            if anew >= 0:
                del self._held[: anew + 1]
                self._scanned = 0
                continue
            if end < 0:
                if len(self._held) > self._longest:
                    self._held.clear()
                    return [*found, Broken.TOO_LONG]
                self._scanned = len(self._held)
                return found
            if end > self._longest:
                return [*found, Broken.TOO_LONG]
            found.append(bytes(self._held[:end]))
            # The CR that belongs to it is passed over as what stands before the next VT: some senders leave it out.
            del self._held[: end + 1]
            self._inside = False


def framed(message: bytes) -> bytes:
    """The message as it is sent."""
    return _START + message + bytes([FS, CR])
