"""What staff read for a destination."""

from __future__ import annotations

from collections.abc import Callable

from preference_center.catalogue import Catalogue
from preference_center.web.languages import page_language


def tool_titles(catalogue: Catalogue) -> Callable[[str], str]:
    """What staff read for a destination: its title, or its name where it has none."""

    def title_of(name: str) -> str:
        recipient = catalogue.recipients.get(name)
        return catalogue.localize(recipient.title, page_language()) if recipient else name

    return title_of
