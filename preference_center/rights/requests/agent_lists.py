"""Read an agent's list, a CSV with one row for each request, and record what it asks for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import TypeVar

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput, InvalidList, PreferenceCenterError
from preference_center.core.tabular import (
    detect_delimiter,
    find_likely_columns,
    normalize_column_name,
)
from preference_center.rights.requests.agents import ask_for_principal
from preference_center.rights.rules.new_request import Agent, NewRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestVia

COLUMNS = ("address", "kind", "extent", "channel", "law", "external_id", "received_at", "text")
"""The columns that a list may have; `kind`, and `address` or `external_id`, must be there.

That of the address may have any of the usual names for it (`core.tabular`).
"""


E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One line of the list, as a request or as the reason why it is none."""

    line: int
    request: NewRequest | None
    problem: str = ""


def read_agent_list(
    lines: Iterable[str], agent: Agent, language: str, region: str
) -> Iterator[AgentRow]:
    """The rows of a CSV with a header, in their order; `language` is that of the answers.

    `region` parses phone numbers without a country code. Raises InvalidList if the header can't
    be used. Problems of rows never quote them (I12).
    """
    iterator = iter(lines)
    first = next(iterator, "")
    reader = csv.DictReader(
        chain([first], iterator), delimiter=detect_delimiter(first), strict=True
    )
    try:
        header = _column_names(reader.fieldnames or ())
    except csv.Error:
        raise InvalidList("the list is no CSV: save it as CSV with a header") from None
    _check_header(header)
    reader.fieldnames = header
    try:
        for row in reader:
            yield _read_row(reader.line_num, row, agent, language, region)
    except csv.Error:
        raise InvalidList(f"line {reader.line_num + 1} is no CSV: fix its quotes") from None


def record_row(row: AgentRow, actor: str) -> AgentRow:
    """Record what a row asks for; returns the row, as one that is refused where it can't be.

    A row that was recorded within a day already adds nothing. Raises nothing: one row's problem
    is not another's.
    """
    if row.request is None:
        return row
    try:
        ask_for_principal(row.request, actor=actor)
    except PreferenceCenterError as error:
        return replace(row, request=None, problem=str(error))
    return row


def _column_names(written: Sequence[str]) -> list[str]:
    """The names of the columns in `COLUMNS`, as far as they are known."""
    known = {normalize_column_name(name): name for name in COLUMNS}
    names = [known.get(normalize_column_name(name), name) for name in written]
    likely = find_likely_columns(names, channel=None)
    if len(likely) == 1:
        names[likely[0]] = "address"
    return names


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or len(set(header)) != len(header):
        raise InvalidList(f"the header may have {', '.join(COLUMNS)}, each once")
    if "kind" not in header or not {"address", "external_id"} & set(header):
        raise InvalidList("the header needs kind, and address or external_id")


def _read_row(
    line: int,
    row: Mapping[str | None, str | list[str] | None],
    agent: Agent,
    language: str,
    region: str,
) -> AgentRow:
    cells = {name: (row.get(name) or "") for name in COLUMNS}
    texts = {name: cell.strip() for name, cell in cells.items() if isinstance(cell, str)}
    if None in row:
        return AgentRow(line, None, "has more cells than the header")
    try:
        request = _parse(texts, agent, language, region)
        request.check()
    except InvalidInput as error:
        return AgentRow(line, None, str(error))
    return AgentRow(line, request)


def _parse(texts: Mapping[str, str], agent: Agent, language: str, region: str) -> NewRequest:
    channel = _choice(Channel, texts["channel"] or Channel.EMAIL.value, "channel")
    addresses: tuple[Address, ...] = ()
    if texts["address"]:
        addresses = (parse_address(texts["address"], channel, region=region),)
    return NewRequest(
        kind=_choice(RequestKind, texts["kind"], "kind"),
        via=RequestVia.AGENT,
        language=language,
        addresses=addresses,
        external_ids=(texts["external_id"],) if texts["external_id"] else (),
        extent=_choice(Extent, texts["extent"], "extent") if texts["extent"] else None,
        law=_choice(Law, texts["law"], "law") if texts["law"] else None,
        received_at=_parse_time(texts["received_at"]),
        text=texts["text"],
        agent=agent,
    )


def _choice(choices: type[E], text: str, column: str) -> E:
    try:
        return choices(text.lower())
    except ValueError:
        raise InvalidInput(f"{column} must be one of {', '.join(choices)}") from None


def _parse_time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidInput("write received_at with its time zone, as 2026-11-24T09:30+01:00")
    return time
