"""The types of the clients have every field of the API, with those that may be left out."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from preference_center.contacts.bodies import EvidenceBody
from preference_center.decisions.api import DecisionItem
from preference_center.senders.api import MessageLinkRequest, PortalLinkRequest
from preference_center.senders.api.opt_outs import ConsentRequest, OptOutRequest
from preference_center.senders.api.suppressions import LiftRequest
from preference_center_client import models

TYPES = Path(__file__).parents[2] / "clients" / "js" / "src" / "index.d.ts"
BODIES: list[tuple[type[BaseModel], str, Any]] = [
    (OptOutRequest, "OptOut", models.OptOut),
    (EvidenceBody, "Evidence", models.Evidence),
    (ConsentRequest, "Consent", models.Consent),
    (LiftRequest, "Lift", None),
    (MessageLinkRequest, "LinkRequest", models.LinkRequest),
    (PortalLinkRequest, "PortalLinkRequest", None),
    (DecisionItem, "Decision", models.Decision),
]
"""A body, the interface of the JavaScript client, and the Python client's class if it has one."""


def optional(body: type[BaseModel]) -> dict[str, bool]:
    """The fields of a body, and whether each may be left out."""
    return {name: not field.is_required() for name, field in body.model_fields.items()}


@pytest.mark.parametrize("body, interface", [(body, name) for body, name, _ in BODIES])
def test_the_types_for_javascript_have_every_field(body: type[BaseModel], interface: str) -> None:
    text = TYPES.read_text(encoding="utf-8")
    [block] = re.findall(
        rf"^export interface {interface} {{\n(.*?)^}}", text, re.DOTALL | re.MULTILINE
    )
    found = re.findall(r"^  (\w+)(\??):", block, re.MULTILINE)
    # The decision for one recipient has it, those of a list have it together.
    expected = optional(body) | ({"as_of": True} if body is DecisionItem else {})
    assert {name: bool(mark) for name, mark in found} == expected


@pytest.mark.parametrize("body, model", [(body, model) for body, _, model in BODIES if model])
def test_the_models_for_python_have_every_field(body: type[BaseModel], model: Any) -> None:
    found = {field.name: field.default is not MISSING for field in fields(model)}
    assert found == optional(body)
