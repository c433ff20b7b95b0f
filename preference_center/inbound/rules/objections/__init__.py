"""What people write when they object to advertising, a table for each language."""

from __future__ import annotations

from preference_center.inbound.rules.objections.de import GERMAN
from preference_center.inbound.rules.objections.en import ENGLISH
from preference_center.inbound.rules.objections.es import SPANISH
from preference_center.inbound.rules.objections.fr import FRENCH
from preference_center.inbound.rules.objections.it import ITALIAN
from preference_center.inbound.rules.objections.language import ObjectionLanguage
from preference_center.inbound.rules.objections.nl import DUTCH
from preference_center.inbound.rules.objections.pl import POLISH
from preference_center.inbound.rules.objections.pt import PORTUGUESE

LANGUAGES: tuple[ObjectionLanguage, ...] = (
    ENGLISH,
    ITALIAN,
    GERMAN,
    FRENCH,
    SPANISH,
    PORTUGUESE,
    DUTCH,
    POLISH,
)
"""In the order in which they are tried: where two share a phrase, the first counts."""

__all__ = ["LANGUAGES", "ObjectionLanguage"]
