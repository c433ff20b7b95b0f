"""Checking a catalogue without the one in force, so without the database."""

from __future__ import annotations

from preference_center.domain.catalogue import Catalogue, parse_catalogue
from preference_center.languages import known_texts


def check_catalogue(text: str) -> Catalogue:
    """The catalogue in a text that is to be applied. Raises CatalogueError with every problem."""
    return parse_catalogue(text, known_texts())
