"""A simulated tool forgets people, and comes to know them again, as real ones do."""

from __future__ import annotations

from random import Random

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import PushItem
from simulation.ground import Clock
from simulation.people import NEWS, OFFERS, START
from simulation.profiles import CRM, MAILER, Profile
from simulation.tools import Tool

WHO = "only2@example.net"


def deleted(profile: Profile, *off: str) -> Tool:
    """A tool that was made to delete somebody of whom these topics were off, and gains them."""
    tool = Tool(
        "tool-0",
        profile,
        frozenset({NEWS, OFFERS}),
        Clock(),
        Random("tool-0"),
        lambda *_: None,
        lambda _: None,
        lambda _: None,
        good_since=START,
    )
    tool.gains(WHO)
    tool.turn_off(WHO, frozenset(off))
    tool.delete(WHO)
    tool.gains(WHO)
    return tool


def test_a_tool_that_keeps_opt_outs_never_takes_anyone_again_who_was_off() -> None:  # I6
    assert WHO not in deleted(CRM, NEWS, OFFERS).contacts


@pytest.mark.parametrize("off", [(), (OFFERS,)])
def test_anyone_erased_before_they_were_suppressed_is_mailed_once_imported_again(
    off: tuple[str, ...],
) -> None:  # I6
    tool = deleted(CRM, *off)
    assert tool.has_on(WHO, NEWS)
    assert tool.has_on(WHO, OFFERS) is (OFFERS not in off)


def test_a_tool_that_forgets_opt_outs_mails_anyone_who_is_imported_again() -> None:  # I6
    assert deleted(MAILER, NEWS, OFFERS).has_on(WHO, NEWS)


def test_what_a_tool_turns_off_late_seems_a_persons_act_at_once() -> None:  # I13
    seen: list[tuple[str, str]] = []
    tool = deleted(MAILER)
    tool.seems_off = lambda *given: seen.append(given)
    request = PushItem(1, WHO, Channel.EMAIL, off=frozenset({NEWS, OFFERS}))
    tool.turn_off(WHO, frozenset({OFFERS}))
    tool.apply([request], late=True)
    assert seen == [(WHO, NEWS)]
