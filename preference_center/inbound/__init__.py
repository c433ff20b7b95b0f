"""What arrives from outside: opt-outs by mail and text message, and webhooks of connected tools."""

from __future__ import annotations
