"""The company's program, which gets webhooks."""

from __future__ import annotations

from tests.rights.test_company_webhooks import program

__all__ = ["program"]
