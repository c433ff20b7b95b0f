"""What people read for a destination: the title in the catalogue, never its internal name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.destinations.store.destinations import list_names, list_names_without_lifts
from preference_center.infra.db.transactions import Connection
from preference_center.web.languages import page_language


@dataclass(frozen=True, slots=True)
class SystemTitles:
    """The titles of destinations, in the language of the page, email or file being written.

    `names` are all destinations, the oldest first: those without a title are numbered among
    them, so that one has the same number wherever people read of it.
    """

    catalogue: Catalogue
    names: Sequence[str]

    def __call__(self, name: str) -> str:
        """The title of the destination of this name, which may have been removed since."""
        recipient = self.catalogue.recipients.get(name)
        if recipient:
            return self.catalogue.localize(recipient.title, page_language())
        untitled = [each for each in self.names if each not in self.catalogue.recipients]
        if name not in untitled:
            return str(_("A system that we no longer use"))
        if len(untitled) == 1:
            return str(_("A system that sends our messages"))
        number = untitled.index(name) + 1
        return str(_("A system that sends our messages (%(number)s)", number=number))


def load_system_titles(connection: Connection, catalogue: Catalogue) -> SystemTitles:
    """The titles of all destinations that there are now."""
    return SystemTitles(catalogue, list_names(connection))


def title_hints(name: str, catalogue: Catalogue) -> list[str]:
    """For staff: that people read no name for this destination, if so, and the remedy."""
    if name in catalogue.recipients:
        return []
    remedy = f"add [destinations.{name}] to the catalogue (docs/catalogue.md)"
    return [f"it has no title, so people read “A system that sends our messages”: {remedy}"]


def list_one_way_titles(
    connection: Connection, catalogue: Catalogue, topics: Collection[str]
) -> list[str]:
    """The titles of those that send any of `topics` and can neither pause nor lift (I10)."""
    names = list_names_without_lifts(connection, topics)
    if not names:  # the usual case, on a page that many open: one query
        return []
    titles = load_system_titles(connection, catalogue)
    return [titles(name) for name in names]
