"""Short histories, one for each rule that random ones meet too rarely."""

from __future__ import annotations

from tests.core.histories import NEWS, OFFERS
from tests.reference.events import ALL_MARKETING, EVERYTHING, RESTRICTION, UNDELIVERABLE, Kind
from tests.reference.steps import Step

GMAIL, OTHER_GMAIL, BARE, TAGGED = 0, 1, 3, 4  # indexes of FORMS


def _step(
    kind: Kind,
    acted: int,
    scope: str = ALL_MARKETING,
    *,
    form: int = BARE,
    received: int | None = None,
    own: bool = True,
    hashed: bool = False,
    until: int | None = None,
    retracts: tuple[int, ...] = (),
) -> Step:
    received = acted if received is None else received
    return Step(kind, form, scope, acted, received, own, hashed, until, retracts)


CASES: dict[str, list[Step]] = {
    "a wider opt-in lifts no topic": [
        _step(Kind.OPTED_OUT, -60, OFFERS),
        _step(Kind.OPTED_IN, -30),
    ],
    "a topic's opt-in overrides a wider opt-out": [
        _step(Kind.OPTED_OUT, -60),
        _step(Kind.OPTED_IN, -30, OFFERS),
    ],
    "an opt-out wins a tie": [
        _step(Kind.OPTED_OUT, -60, OFFERS),
        _step(Kind.OPTED_IN, -60, OFFERS),
    ],
    "a wider opt-in revives no consent": [
        _step(Kind.OPTED_IN, -120, NEWS),
        _step(Kind.OPTED_OUT, -60),
        _step(Kind.OPTED_IN, -30),
    ],
    "an opt-in is of its form": [
        _step(Kind.OPTED_OUT, -60, OFFERS, form=TAGGED),
        _step(Kind.OPTED_IN, -30, OFFERS),
    ],
    "an opt-in ends the opt-out of its form for that form only": [
        _step(Kind.OPTED_OUT, -60, OFFERS, form=TAGGED),
        _step(Kind.OPTED_IN, -30, OFFERS, form=TAGGED),
        _step(Kind.CONTACT_KNOWN, -30),
    ],
    "a list lifts nothing": [
        _step(Kind.OPTED_OUT, -60, NEWS),
        _step(Kind.OPTED_IN, -30, NEWS, own=False),
    ],
    "a shorter pause of another form ends none": [
        _step(Kind.PAUSED, -60, until=600, form=GMAIL),
        _step(Kind.PAUSED, -30, until=30, form=OTHER_GMAIL),
    ],
    "reopening leaves marketing off": [
        _step(Kind.OPTED_IN, -120, NEWS),
        _step(Kind.DEACTIVATED, -60),
        _step(Kind.CONTACT_KNOWN, -60, form=TAGGED),
        _step(Kind.REOPENED, -30, EVERYTHING),
    ],
    "an opt-in after the closing counts once it is reopened": [
        _step(Kind.DEACTIVATED, -60),
        _step(Kind.OPTED_IN, -45, NEWS),
        _step(Kind.REOPENED, -30, EVERYTHING),
    ],
    "a hash covers its mailbox once it is revealed": [
        _step(Kind.OPTED_OUT, -60, form=TAGGED, hashed=True),
        _step(Kind.CONTACT_KNOWN, -45),
        _step(Kind.CONTACT_KNOWN, -30, form=TAGGED),
    ],
    "the hash of the bare form covers its mailbox": [
        _step(Kind.OPTED_OUT, -60, hashed=True),
        _step(Kind.CONTACT_KNOWN, -45, form=TAGGED),
    ],
    "a retraction takes back what it names": [
        _step(Kind.OPTED_OUT, -60, OFFERS),
        _step(Kind.OPTED_OUT, -45, OFFERS),
        _step(Kind.RETRACTED, -30, retracts=(1,)),
    ],
    "a bounce advises on service mail and stops marketing": [
        _step(Kind.BOUNCED, -60, UNDELIVERABLE),
        _step(Kind.OPTED_IN, -30, OFFERS, form=TAGGED),
    ],
    "the end of a restriction and a reopening do not show that mail arrives": [
        _step(Kind.BOUNCED, -60, UNDELIVERABLE),
        _step(Kind.RESTRICTED, -46, RESTRICTION),
        _step(Kind.DEACTIVATED, -46, EVERYTHING),
        _step(Kind.UNRESTRICTED, -30, RESTRICTION),
        _step(Kind.REOPENED, -15, EVERYTHING),
    ],
    "a restriction is ended by its form": [
        _step(Kind.RESTRICTED, -60, RESTRICTION),
        _step(Kind.OPTED_IN, -45, OFFERS, form=TAGGED),
        _step(Kind.UNRESTRICTED, -30, RESTRICTION, form=TAGGED),
    ],
    "a date long before the receipt is not trusted": [
        _step(Kind.OPTED_OUT, -60, OFFERS, received=0),
        _step(Kind.OPTED_IN, -46, OFFERS),
    ],
    "a form that becomes known is off in the tools": [
        _step(Kind.OPTED_OUT, -60, form=GMAIL),
        _step(Kind.CONTACT_KNOWN, -30, form=OTHER_GMAIL),
    ],
}
