"""The catalogue: the file that declares brands, topics and message types.

`parse` reads it or names every fault at once; `difference` and `refusals` say what
applying a new version would change and whether it may. docs/catalogue.md is the
reference of the file.
"""

from __future__ import annotations

from preference_center.domain.catalogue.branding import PAPER, Colours, Logo
from preference_center.domain.catalogue.diff import Difference, difference, refusals
from preference_center.domain.catalogue.model import (
    AfterClosing,
    Brand,
    Catalogue,
    Default,
    Gpc,
    Ground,
    Group,
    MessageClass,
    MessageType,
    Policy,
    Texts,
    Topic,
    Unproven,
)
from preference_center.domain.catalogue.parser import digest, parse

__all__ = [
    "PAPER",
    "AfterClosing",
    "Brand",
    "Catalogue",
    "Colours",
    "Default",
    "Difference",
    "Gpc",
    "Ground",
    "Group",
    "Logo",
    "MessageClass",
    "MessageType",
    "Policy",
    "Texts",
    "Topic",
    "Unproven",
    "difference",
    "digest",
    "parse",
    "refusals",
]
