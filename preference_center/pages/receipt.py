"""The receipt to keep: what the page says, as JSON with fixed names (docs/receipts.md)."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response

from preference_center.domain.addresses import Address, mask
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import RESERVED_SCOPES
from preference_center.languages import page_language
from preference_center.pages.opt_out_status import OptOut, Place, Whereabouts
from preference_center.pages.rendering import Wording, text_version

FORMAT = 1
"""Of the JSON. Fields may be added; a number more means that one changed its meaning."""


def receipt(address: Address, found: Whereabouts, catalogue: Catalogue, now: datetime) -> Response:
    """The receipt as a file to download."""
    content = _content(address, found, catalogue, now)
    content["sha256"] = digest(content)
    body = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{_filename(found, now)}"'
    return response


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of the receipt without its `sha256`, with keys sorted and no white space.

    For what a receipt holds that is the canonical form of RFC 8785.
    """
    kept = {name: value for name, value in content.items() if name != "sha256"}
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _content(
    address: Address, found: Whereabouts, catalogue: Catalogue, now: datetime
) -> dict[str, Any]:
    text = Wording(catalogue)
    return {
        "format": FORMAT,
        "issued_at": _moment(now),
        "language": page_language(),
        "text_version": text_version(),
        "channel": address.channel.value,
        "address": mask(address),
        "brands": [
            {"name": text(brand.name), "legal": text(brand.footer)}
            for brand in catalogue.brands.values()
        ],
        "opt_outs": [_opt_out(each, catalogue, text) for each in found.opt_outs],
        "destinations": [_destination(each) for each in found.places],
    }


def _opt_out(opt_out: OptOut, catalogue: Catalogue, text: Wording) -> dict[str, Any]:
    no = opt_out.no
    topic = None if no.scope in RESERVED_SCOPES else catalogue.topics.get(no.scope)
    return {
        "reference": opt_out.reference,
        "kind": no.kind.value,
        "scope": no.scope,
        "title": text(topic.title) if topic else None,
        "except_for": list(no.except_for),
        "until": _moment(no.until),
        "how": opt_out.how,
        "received_at": _moment(opt_out.received_at),
        "recorded_at": _moment(opt_out.recorded_at),
    }


def _destination(place: Place) -> dict[str, Any]:
    at = place.progress
    return {
        "name": place.name,
        "outcome": at.step.value,
        "hurdle": at.hurdle.value if at.hurdle else None,
        "at": _moment(at.at),
        "acknowledgement": at.ack or None,
        "due_at": _moment(at.due_at),
        "late": at.late,
    }


def _filename(found: Whereabouts, now: datetime) -> str:
    name = found.opt_outs[0].reference if found.opt_outs else f"{now:%Y-%m-%d}"
    return f"opt-out-{name}.json"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
