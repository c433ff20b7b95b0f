"""What people write when they object to advertising, a table for each language."""

from __future__ import annotations

from preference_center.domain.mail.objections.de import GERMAN
from preference_center.domain.mail.objections.en import ENGLISH
from preference_center.domain.mail.objections.es import SPANISH
from preference_center.domain.mail.objections.fr import FRENCH
from preference_center.domain.mail.objections.it import ITALIAN
from preference_center.domain.mail.objections.language import ObjectionLanguage
from preference_center.domain.mail.objections.nl import DUTCH
from preference_center.domain.mail.objections.pl import POLISH
from preference_center.domain.mail.objections.pt import PORTUGUESE

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
