"""A service with a catalogue, a sender that asks it, and links, as people get them."""

# ruff: noqa: F401 - fixtures of other folders are imported by name

from __future__ import annotations

from tests.web.api.fixtures import in_force, sender
from tests.web.pages.fixtures import make_token
