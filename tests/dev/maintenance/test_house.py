"""What `make house` counts."""

from __future__ import annotations

import ast

import pytest

from dev.maintenance.house import find_branches


@pytest.mark.parametrize(
    "source, found",
    [
        ("x is Channel.SMS", {"channel"}),
        ("match x:\n    case core.Channel.SMS: ...", {"channel"}),
        ("X = {EventKind.BOUNCED: 1}", {"kind of event"}),
        ("X = (RequestVia.PHONE, RequestVia.CHAT)", {"way of a request"}),
        ('X = ("de", "fr")', {"language"}),
        ("connect(channels=frozenset({Channel.EMAIL, Channel.SMS}))", set()),
        ("def f(channel=Channel.EMAIL): return Channel.SMS", set()),
        ("x == Channel.SMS.rules.syntax", {"channel"}),
        ("NoticeChannel.EMAIL == x", set()),
    ],
)
def test_a_branch_names_a_value_to_decide_by_it(source: str, found: set[str]) -> None:
    assert find_branches(ast.parse(source)) == found
