"""Whether people can use their rights on our own pages."""

from __future__ import annotations

from preference_center.catalogue.rules.model import Catalogue


def rights_offered(catalogue: Catalogue) -> bool:
    """Whether the catalogue says who is responsible (GDPR art. 13(1)(a)).

    Until it does, the pages of rights say only whom to write to.
    """
    return catalogue.controller is not None
