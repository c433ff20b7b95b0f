"""Checking a catalogue without the one in force, so without the database."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.parser import parse_catalogue


def check_catalogue(text: str, known_texts: Collection[str]) -> Catalogue:
    """The catalogue in a text that is to be applied. Raises CatalogueError with every problem.

    `known_texts` are our texts that a brand may replace: `web.languages.known_texts()`.
    """
    return parse_catalogue(text, known_texts)
