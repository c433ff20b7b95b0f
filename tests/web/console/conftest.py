"""Fixtures for signing in at a provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.web.console.accounts import quick_hashes
from tests.web.console.providers import FakeProvider, fake_provider
from tests.web.console.sign_ins import trusting

__all__ = ["quick_hashes"]

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


@pytest.fixture
def provider(app: Flask, clock: Clock) -> Iterator[FakeProvider]:
    with fake_provider(clock) as provider, trusting(app, provider.issuer):
        yield provider
