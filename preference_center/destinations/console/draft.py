"""A destination that is being added, sealed in the form itself between the steps.

Nothing is stored before it is confirmed, and no secret is readable in a page. The seal is for one
session, so nobody else's form can be sent in.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from preference_center.core.errors import DecryptionError, KeyMismatch
from preference_center.destinations.validation import DestinationRequest
from preference_center.infra.context import services
from preference_center.web.console.frame import current_staff


@dataclass(frozen=True, slots=True)
class Draft:
    """What was entered so far: topics with a target in `mapping`, those without in `sends`."""

    name: str
    kind: str
    settings: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    sends: tuple[str, ...] = ()
    sends_service: bool = False

    def to_request(self) -> DestinationRequest:
        """The destination to be added."""
        return DestinationRequest(
            self.name,
            self.kind,
            self.settings,
            self.mapping,
            frozenset(self.sends),
            self.sends_service,
        )


def seal_draft(draft: Draft) -> str:
    """The draft as the value of a hidden field."""
    sealed = services().keys.seal(json.dumps(asdict(draft)), context=_context())
    return base64.urlsafe_b64encode(sealed).decode()


def open_draft(text: str) -> Draft | None:
    """The draft of a hidden field; None if it is not one of this session."""
    try:
        sealed = base64.urlsafe_b64decode(text.encode())
        values = json.loads(services().keys.open(sealed, context=_context()))
    except (binascii.Error, ValueError, DecryptionError, KeyMismatch):
        return None
    values["sends"] = tuple(values["sends"])
    return Draft(**values)


def _context() -> bytes:
    return b"console.draft:" + current_staff().id.bytes
