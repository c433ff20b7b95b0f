"""The receipt to keep: the status page as JSON with fixed names (docs/receipts.md)."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response

from preference_center.domain.addresses import Address, mask_address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import RESERVED_SCOPES
from preference_center.languages import current_wording, page_language
from preference_center.pages.opt_out_status import OptOutStatus, RecordedOptOut, ToolStatus
from preference_center.pages.rendering import CatalogueText, text_version

FORMAT_VERSION = 1
"""Of the JSON. Fields may be added; it increases when a field changes its meaning."""


def receipt_response(
    address: Address, status: OptOutStatus, catalogue: Catalogue, now: datetime
) -> Response:
    """The receipt as a file to download."""
    content = _receipt_content(address, status, catalogue, now)
    content["sha256"] = receipt_digest(content)
    body = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{_filename(status, now)}"'
    return response


def receipt_digest(content: dict[str, Any]) -> str:
    """SHA-256 of the receipt without its `sha256`, with keys sorted and no white space.

    For the values of a receipt that is the canonical form of RFC 8785.
    """
    signed = {name: value for name, value in content.items() if name != "sha256"}
    text = json.dumps(signed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _receipt_content(
    address: Address, status: OptOutStatus, catalogue: Catalogue, now: datetime
) -> dict[str, Any]:
    text = CatalogueText(catalogue)
    return {
        "format": FORMAT_VERSION,
        "issued_at": _isoformat(now),
        "language": page_language(),
        "text_version": text_version(current_wording()),
        "channel": address.channel.value,
        "address": mask_address(address),
        "brands": [
            {"name": text(brand.name), "legal": text(brand.footer)}
            for brand in catalogue.brands.values()
        ],
        "opt_outs": [_opt_out_json(each, catalogue, text) for each in status.opt_outs],
        "destinations": [_destination_json(each) for each in status.tools],
    }


def _opt_out_json(
    opt_out: RecordedOptOut, catalogue: Catalogue, text: CatalogueText
) -> dict[str, Any]:
    suppression = opt_out.suppression
    topic = (
        None if suppression.scope in RESERVED_SCOPES else catalogue.topics.get(suppression.scope)
    )
    return {
        "reference": opt_out.reference,
        "kind": suppression.kind.value,
        "scope": suppression.scope,
        "title": text(topic.title) if topic else None,
        "exempt_topics": list(suppression.exempt_topics),
        "until": _isoformat(suppression.until),
        "received_via": opt_out.received_via,
        "received_at": _isoformat(opt_out.received_at),
        "recorded_at": _isoformat(opt_out.recorded_at),
    }


def _destination_json(tool: ToolStatus) -> dict[str, Any]:
    progress = tool.progress
    return {
        "name": tool.name,
        "state": progress.state.value,
        "blocker": progress.blocker.value if progress.blocker else None,
        "at": _isoformat(progress.confirmed_at),
        "due_at": _isoformat(progress.due_at),
        "late": progress.late,
    }


def _filename(status: OptOutStatus, now: datetime) -> str:
    name = status.opt_outs[0].reference if status.opt_outs else f"{now:%Y-%m-%d}"
    return f"opt-out-{name}.json"


def _isoformat(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
