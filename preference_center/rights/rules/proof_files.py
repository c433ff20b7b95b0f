"""Files that prove an agent's authority: what may be uploaded.

A file is recognized by its first bytes and by nothing else: not by its name, which is never
stored, and not by the type that the browser declares. It is stored as it came, sealed, and is
never opened, rendered or unpacked here, so what hides in it (an archive, a script, a place in
EXIF) does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from preference_center.core.errors import InvalidInput

MAX_PROOFS = 3
"""Files of one request."""
MAX_PROOF_BYTES = 5_000_000


class ProofKind(StrEnum):
    """What the file shows."""

    POWER_OF_ATTORNEY = "power_of_attorney"
    HEIR = "heir"
    """That the person has died and the agent inherits, as a certificate of inheritance."""


class ProofType(StrEnum):
    """The type of a file, as its first bytes say."""

    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"


_FIRST_BYTES: Mapping[ProofType, bytes] = {
    ProofType.PDF: b"%PDF-",  # ISO 32000-2 7.5.2
    ProofType.PNG: b"\x89PNG\r\n\x1a\n",  # RFC 2083 3.1
    ProofType.JPEG: b"\xff\xd8\xff",  # ITU-T T.81 B.1.1.3: start of image, then a marker
}


@dataclass(frozen=True, slots=True)
class ProofFile:
    """An uploaded file. `declared_type` is what the browser called it."""

    content: bytes = field(repr=False)
    declared_type: str
    kind: ProofKind

    @property
    def type(self) -> ProofType:
        """The type by its first bytes. Raises InvalidInput unless it is one of ProofType."""
        for found, first in _FIRST_BYTES.items():
            if self.content.startswith(first):
                return found
        raise InvalidInput("send a PDF, PNG or JPEG: this file is none of them, whatever its name")

    def check(self) -> None:
        """Raises InvalidInput, which states what to fix."""
        if len(self.content) > MAX_PROOF_BYTES:
            raise InvalidInput(
                f"the file is larger than {MAX_PROOF_BYTES:,} bytes: make it smaller"
            )
        _ = self.type
