"""What may be uploaded is recognized by its first bytes and by nothing else."""

from __future__ import annotations

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.rights.rules.identity import MAX_PROOF_BYTES, ProofFile, ProofKind, ProofType

STARTS = {
    ProofType.PDF: b"%PDF-1.7\n",
    ProofType.PNG: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    ProofType.JPEG: b"\xff\xd8\xff\xe1\0\x18Exif",
}


def file(content: bytes, declared: str = "application/pdf") -> ProofFile:
    return ProofFile(content, declared, ProofKind.POWER_OF_ATTORNEY)


@pytest.mark.parametrize("type_", ProofType)
def test_each_type_is_known_by_its_first_bytes_whatever_it_is_called(type_: ProofType) -> None:
    found = file(STARTS[type_], "text/html")
    found.check()
    assert found.type is type_


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",  # an archive, perhaps a bomb
        b"MZ",
        b"<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b" %PDF-1.7",
        b"GIF89a",
        b"\x89PNG\n",
        b"\xff\xd8",
    ],
)
def test_anything_else_is_refused_with_the_remedy(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="PDF, PNG or JPEG"):
        file(content).check()


def test_a_large_file_is_refused() -> None:
    start = STARTS[ProofType.PDF]
    file(start.ljust(MAX_PROOF_BYTES, b"x")).check()
    with pytest.raises(InvalidInput, match="5,000,000 bytes"):
        file(start.ljust(MAX_PROOF_BYTES + 1, b"x")).check()
