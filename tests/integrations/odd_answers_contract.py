"""What a connector must do whose tool answers oddly, but as its description allows.

Each run makes one value of the tool's answers odd: see `tools/odd_answers`. Four rules:
- nothing but a DeliveryError escapes;
- what is odd about one person never fails another;
- no opt-out is reported as done that was not;
- what an answer has besides, or leaves out of its headers, changes nothing at all.

Only a sample of the places runs here; `make test-answers` runs all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Capabilities,
    ContactPage,
    DeliveryError,
    EraseItem,
    FieldItem,
    PushItem,
    PushOutcome,
    PushResult,
    SupportsContactFields,
    SupportsErase,
    SupportsPull,
    SupportsRead,
    SupportsScan,
)
from preference_center.integrations.registry import get_spec
from tests.integrations.both_ways_contract import LINK, hands
from tests.integrations.contract import Rig, lift, off
from tests.integrations.rig import channel_of, field_of
from tests.integrations.tools.answer_schemas import AnswerSchemas
from tests.integrations.tools.described import Description
from tests.integrations.tools.odd_answers import OddAnswers, Place
from tests.integrations.tools.stand_in import StandIn

PLACES = 7
"""Odd places of one test, in a sample."""
ALL = int(os.environ.get("TEST_ANSWERS", "0"))
"""In how many parts to try all of them; 0 for a sample."""
PARTS = ALL or 2
MOST_PAGES = 40
_RUNS = count(1)
"""People of a run are new to the tool, which remembers those of the runs before."""


class OddAnswersContract:
    """For connectors of tools with a description, which the fixture `schemas` gives."""

    @pytest.fixture
    def schemas(self, description: Description | None) -> AnswerSchemas:
        if description is None:
            pytest.skip("the description is not next to this checkout")
        return description

    def people(self, run: int) -> dict[int, str]:
        """Addresses of three people, who are others in each run."""
        return {ref: f"{name}{run}@example.com" for ref, name in enumerate(("anna", "bo", "cy"), 1)}

    def abilities(self, rig: Rig) -> Capabilities:
        """What the connector can do for them."""
        return get_spec(rig.kind).capabilities

    def run(self, rig: Rig, schemas: AnswerSchemas, place: Place | None) -> Run:
        return Run(rig, schemas, place, self.people(next(_RUNS)), self.abilities(rig))

    @pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part {part + 1}")
    def test_one_odd_value_in_an_answer_does_no_harm(
        self, rig: Rig, schemas: AnswerSchemas, part: int
    ) -> None:
        server = cast("StandIn", rig.tool.server)  # type: ignore[attr-defined]
        server.unwatch()  # what we ask for is checked elsewhere
        plain = self.run(rig, schemas, None)
        assert not (without := list(plain.problems())), without
        places = sorted(plain.answers.places)
        random.Random(rig.kind).shuffle(places)
        assert places
        harm = [
            f"{place}: {problem}"
            for place in (places[part::PARTS] if ALL else places[part::PARTS][:PLACES])
            for problem in self.run(rig, schemas, place).problems()
        ]
        assert not harm, "\n".join(harm)


class Run:
    """All that a connector can do, once, for three people of whom the second is odd."""

    def __init__(
        self,
        rig: Rig,
        schemas: AnswerSchemas,
        place: Place | None,
        people: Mapping[int, str],
        abilities: Capabilities,
    ) -> None:
        self.people, self._abilities = people, abilities
        self.odd = 2
        self._rig, self._place = rig, place
        self._server = cast("StandIn", rig.tool.server)  # type: ignore[attr-defined]
        self._is_harmless = place is None or place.is_harmless
        self._is_strict = self._is_harmless or bool(place and place.personal)
        others = {address for ref, address in self.people.items() if ref != self.odd}
        self.answers = OddAnswers(schemas, self.people[self.odd], others, place)
        if hasattr(rig.tool, "add"):
            for address in self.people.values():
                hands(rig).add(address)

    def problems(self) -> Iterator[str]:
        """What went wrong, in words; nothing if nothing did."""
        abilities = self._abilities
        yield from self._check()
        yield from self._push()
        if abilities.can_read:
            yield from self._read()
        if abilities.can_lift:
            yield from self._lift()
        if abilities.can_write_fields:
            yield from self._links()
        if abilities.can_scan:
            yield from self._scan()
        if abilities.can_pull:
            yield from self._pull()
        if abilities.can_erase:
            yield from self._erase()

    def _check(self) -> Iterator[str]:
        report, problem = self._oddly(lambda: self._rig.make().check())
        if problem or (self._is_harmless and not report.ok):
            yield f"check: {problem or report.problems}"

    def _push(self) -> Iterator[str]:
        batch = [off(ref, address, "news") for ref, address in self.people.items()]
        found, problem = self._oddly(lambda: self._rig.make().push(batch))
        yield from self._outcomes("push", found, problem)
        for ref, address in self.people.items():
            is_done = found and ref in found and found[ref].result is PushResult.REFLECTED
            if is_done and "news" not in self._rig.tool.off(address):
                yield f"push: {self._name(ref)} counts as done and is not"

    def _lift(self) -> Iterator[str]:
        self._rig.make().push([off(ref, a, "news") for ref, a in self.people.items()])
        batch = [lift(ref, address, "news") for ref, address in self.people.items()]
        found, problem = self._oddly(lambda: self._rig.make().push(batch))
        yield from self._outcomes("lift", found, problem)

    def _links(self) -> Iterator[str]:
        batch = [FieldItem(ref, a, Channel.EMAIL, LINK) for ref, a in self.people.items()]
        connector = cast("SupportsContactFields", self._rig.make())
        found, problem = self._oddly(lambda: connector.write_field(field_of(self._rig), batch))
        yield from self._outcomes("links", found, problem)

    def _erase(self) -> Iterator[str]:
        """Whom the tool holds is never said to be gone."""
        if hasattr(self._rig.tool, "add"):
            for address in self.people.values():
                hands(self._rig).add(address)
        items = [EraseItem(ref, a, channel_of(a)) for ref, a in self.people.items()]
        connector = cast("SupportsErase", self._rig.make())
        if get_spec(self._rig.kind).capabilities.confirms_erasure:
            yield from self._find_held(connector, items)
        found, problem = self._oddly(lambda: connector.erase(items))
        if problem:
            yield f"erase: {problem}"
        for ref, address in self.people.items() if found is not None else ():
            outcome = found.get(ref)
            if outcome and outcome.result is PushResult.REFLECTED and self._holds(address):
                yield f"erase: {self._name(ref)} counts as erased and is not"
            is_right = outcome and (outcome.result is PushResult.REFLECTED or outcome.job)
            if self._must_be_right(ref) and not is_right:
                yield f"erase: {self._name(ref)} is {outcome}"

    def _find_held(self, connector: SupportsErase, items: Sequence[EraseItem]) -> Iterator[str]:
        held, problem = self._oddly(lambda: connector.find_held(items))
        if problem:
            yield f"find_held: {problem}"
        for ref in self.people if held is not None else ():
            if self._must_be_right(ref) and held.get(ref) is not True:
                yield f"find_held: {self._name(ref)} is {held.get(ref)}"

    def _holds(self, address: str) -> bool:
        has = getattr(self._rig.tool, "has", None)
        return bool(has and has(address))

    def _outcomes(
        self, act: str, found: Mapping[int, PushOutcome] | None, problem: str | None
    ) -> Iterator[str]:
        if problem:
            yield f"{act}: {problem}"
        for ref in self.people if found is not None else ():
            result = found[ref].result if found and ref in found else None
            if self._must_be_right(ref) and result is not PushResult.REFLECTED:
                yield f"{act}: {self._name(ref)} is {result}"

    def _read(self) -> Iterator[str]:
        self._rig.make().push([off(ref, a, "news") for ref, a in self.people.items()])
        batch: list[PushItem] = [off(ref, a, "news") for ref, a in self.people.items()]
        connector = cast("SupportsRead", self._rig.make())
        found, problem = self._oddly(lambda: connector.read(batch))
        if problem:
            yield f"read: {problem}"
        for ref in self.people if found is not None else ():
            if self._must_be_right(ref) and found.get(ref) != frozenset({"news"}):
                yield f"read: {self._name(ref)} reads as {found.get(ref)}"

    def _scan(self) -> Iterator[str]:
        connector = cast("SupportsScan", self._rig.make())
        yield from self._listed("scan", connector.scan, sees_odd=True)

    def _pull(self) -> Iterator[str]:
        leave = getattr(self._rig.tool, "leave", None)
        for address in self.people.values():
            if leave:
                leave(address)
            elif "news" not in self._rig.tool.off(address):
                self._rig.tool.turn_off(address, "news")
        connector = cast("SupportsPull", self._rig.make())
        yield from self._listed("pull", connector.pull, sees_odd=False)

    def _listed(
        self, act: str, listing: Callable[[str | None], ContactPage[Any]], *, sees_odd: bool
    ) -> Iterator[str]:
        self.answers.hides = False
        rows, problem = self._oddly(lambda: list(_rows(listing)))
        if problem:
            yield f"{act}: {problem}"
        seen = {row.address for row in rows or ()}
        for ref, address in self.people.items() if rows is not None else ():
            due = self._must_be_right(ref) or (
                self._is_strict and sees_odd and not self.answers.hides
            )
            if due and address not in seen:
                yield f"{act}: {self._name(ref)} is missing"

    def _must_be_right(self, ref: int) -> bool:
        return self._is_harmless or (self._is_strict and ref != self.odd)

    def _name(self, ref: int) -> str:
        return "the odd one" if ref == self.odd else "another"

    def _oddly(self, act: Callable[[], Any]) -> tuple[Any, str | None]:
        """What `act` returns while the tool answers oddly, and what it must not have raised."""
        self._server.change = self.answers
        try:
            return act(), None
        except DeliveryError as error:
            return None, f"{type(error).__name__}: {error}" if self._is_strict else None
        except Exception as error:  # noqa: BLE001 - that none escapes is what is shown
            return None, f"a foreign {type(error).__name__} escapes: {error}"
        finally:
            self._server.change = None


def _rows(listing: Callable[[str | None], ContactPage[Any]]) -> Iterator[Any]:
    """All rows; what has no end by an odd answer is left."""
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = listing(cursor)
        yield from page.rows
        cursor = page.cursor
        if page.done:
            return
