"""Every request to a tool is compared with what people did."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import PushItem
from simulation.asking import Requests
from simulation.ground import Clock
from simulation.oracle import Oracle
from simulation.people import CLUB, NEWS, START, forms_of
from simulation.profiles import MAILER
from simulation.tools import Tool
from simulation.violation import Violation

FORM, *_ = forms_of(2)
TOOL = Tool(
    "tool-0",
    MAILER,
    frozenset({NEWS, CLUB}),
    Clock(),
    Random("tool-0"),
    lambda *_: None,
    lambda _: None,
    lambda _: None,
)
LIFT = PushItem(1, FORM.text, Channel.EMAIL, frozenset(), frozenset({NEWS}), version=1)


def test_no_tool_is_asked_to_lift_without_the_consent_that_the_topic_needs() -> None:  # I11
    oracle = Oracle()
    requests = Requests(oracle, {FORM.text: FORM}, Counter())
    requests.check(TOOL, [LIFT], START)
    with pytest.raises(Violation, match="I11"):
        requests.check(TOOL, [replace(LIFT, lift=frozenset({CLUB}))], START)
    oracle.add_opt_in(FORM, CLUB, START)
    requests.check(TOOL, [replace(LIFT, lift=frozenset({CLUB}))], START)
