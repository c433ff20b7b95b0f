"""What a row of an agent's list has to say, and what is no list."""

from __future__ import annotations

import pytest

from preference_center.core.errors import InvalidList
from preference_center.rights.requests.agent_lists import AgentRow, read_agent_list
from preference_center.rights.rules.new_request import Agent

AGENT = Agent("Data Rights Ltd", "post@agents.example")


def read(text: str) -> list[AgentRow]:
    return list(read_agent_list(text.splitlines(keepends=True), AGENT, "en", "IT"))


@pytest.mark.parametrize(
    "row",
    [
        "ada@example.com,forget,,",
        "ada@example.com,erase,,",
        ",access,,",
        "nobody,access,,",
        "ada@example.com,access,,2026-11-20",
        "ada@example.com,access,,,more",
    ],
)
def test_a_row_that_cannot_be_used_has_its_line_and_names_nobody(row: str) -> None:  # I12
    good, bad = read(f"address,kind,extent,received_at\nbob@example.com,access,,\n{row}\n")
    assert good.request is not None
    assert (bad.line, bad.request) == (3, None)
    assert bad.problem
    assert "ada@" not in bad.problem


@pytest.mark.parametrize(
    "text", ["", "name,kind\n", "address\n", "kind,address,kind\n", 'address,kind\n"a,access\n']
)
def test_what_is_no_list_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(InvalidList):
        read(text)
