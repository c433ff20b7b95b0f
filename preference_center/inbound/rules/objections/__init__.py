"""Objections to marketing in replies: a grammar, and a table for each language."""

from __future__ import annotations

from preference_center.inbound.rules.objections.language import ObjectionLanguage

LANGUAGES: tuple[ObjectionLanguage, ...] = tuple(
    map(ObjectionLanguage, ("en", "it", "de", "fr", "es", "pt", "nl", "pl"))
)
"""In the order in which they are tried: where two share a phrase, the first counts."""

__all__ = ["LANGUAGES", "ObjectionLanguage"]
