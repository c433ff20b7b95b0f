"""What every destination has to reflect, out of the model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tests.reference.decisions import Topic
from tests.reference.events import Form
from tests.reference.model import Model


@dataclass(frozen=True)
class Destination:
    """A connected tool: what it sends, and whether topics can be turned on again there."""

    name: str
    topics: tuple[Topic, ...]
    can_lift: bool = True


class Wanted(StrEnum):
    """OFF: has to be off. MAY_BE_ON: what we turned off may be lifted. LEAVE: as it is there."""

    OFF = "off"
    MAY_BE_ON = "may_be_on"
    LEAVE = "leave"


def wanted(
    model: Model, destination: Destination, form: Form, topic: Topic, now: datetime
) -> Wanted:
    """What a destination has to reflect of a topic for one form that can be read.

    I10: where a tool can't lift, what ends by itself is not pushed and lifts stay off.
    I5: a topic that needs a consent is turned on with one only.
    """
    if any(
        model.stops(suppression, form, topic.key)
        for suppression in model.stopping(form, now)
        if destination.can_lift or not suppression.ends_itself
    ):
        return Wanted.OFF

    unasked = topic.opt_in and not model.consents(form, topic.key, now)
    if unasked or not destination.can_lift:
        return Wanted.LEAVE
    return Wanted.MAY_BE_ON


def state(model: Model, destination: Destination, now: datetime) -> dict[tuple[str, str], Wanted]:
    """All of it, by exact form and topic. A form known by its hash can't be pushed (I9)."""
    return {
        (form.exact, topic.key): wanted(model, destination, form, topic, now)
        for form in model.forms
        if form.exact in model.revealed
        for topic in destination.topics
    }
