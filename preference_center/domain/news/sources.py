"""Every vendor whose webhooks are understood, by the kind of its connector. No magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.news import NewsSource

SOURCES: Mapping[str, NewsSource] = {}
