"""Material next to the checkout on some machines: vendors' descriptions, corpora.

It is not ours to ship, so a checkout may be without it; what needs it then skips.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_path(relative: str) -> Path:
    """Return the path of a file under `shared/`; skip the test if it isn't there."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"shared/{relative} is not next to this checkout")
    return path
