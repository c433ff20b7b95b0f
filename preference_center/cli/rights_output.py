"""How a data-subject request is printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from preference_center.cli.terminal import strip_control_characters
from preference_center.domain.addresses import mask_address
from preference_center.domain.rights.request import RightsRequest
from preference_center.rights.request_steps import part_addresses
from preference_center.storage.rights.requests import RightsStep, SealedPart


def request_line(request: RightsRequest, now: datetime) -> str:
    """Reference, kind, state and deadline in one line."""
    kind = f"{request.kind}{f' ({request.extent})' if request.extent else ''}"
    return f"{request.reference}  {kind:<20}{request.state:<13}{_deadline(request, now)}"


def print_request(
    request: RightsRequest, part: SealedPart, steps: Sequence[RightsStep], *, show_text: bool
) -> None:
    """Print a request with its steps, addresses masked."""
    lines = {
        "reference": request.reference,
        "asked for": f"{request.kind} {request.extent or ''}",
        "state": f"{request.state} {request.outcome or request.refusal or ''}",
        "received": f"{request.received_at:%Y-%m-%d %H:%M} UTC by {request.via}",
        "law": request.law or "the earliest of those configured",
        "confirm by": _time(request.confirm_by),
        "due": _time(request.due_at),
        "extended to": _time(request.extended_to),
        "clock stopped": _time(request.stopped_at),
        "identity": f"level {request.level.value}, needs {request.required_level.value}",
        "language": request.language,
        "about": ", ".join(map(mask_address, part_addresses(part))),
        "external ids": str(len(part.external_ids) or ""),
        "agent": strip_control_characters(part.agent.get("name", "")),
        "wrote": f"{len(part.text)} characters: --show-text" if part.text else "",
    }
    for name, value in lines.items():
        if value.strip():
            click.echo(f"{name:<14}{value.strip()}")
    for step in steps:
        detail = " ".join(f"{name}={value}" for name, value in step.detail.items())
        if step.email_outcome:
            detail += f" ({step.email_outcome})"
        click.echo(f"{step.at:%Y-%m-%d %H:%M}  {step.actor:<12}{step.action:<20}{detail}".rstrip())
    if show_text and part.text:
        click.echo(f"\n{strip_control_characters(part.text)}")


def _deadline(request: RightsRequest, now: datetime) -> str:
    if request.state.closed:
        return _time(request.closed_at)
    if request.stopped_at is not None:
        return f"stopped {_time(request.stopped_at)}"
    late = " overdue" if request.deadline <= now else ""
    return f"{_time(request.deadline)}{late}"


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""
