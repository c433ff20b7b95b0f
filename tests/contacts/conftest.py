"""Links, as people get them."""

from __future__ import annotations

from tests.pages.conftest import make_token

__all__ = ["make_token"]
