"""Erasures by hand, legal holds, and corrections, as compliance works on them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.rules.requests import IdentityLevel, RequestKind, RequestState
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination
from tests.rights.console.asking import SCRIPT, actions, ask, load, rows
from tests.rights.erasing import erase, store
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

TASKS, HOLDS = "/console/requests/tasks", "/console/requests/holds"
CASE = {"channel": "email", "address": "ada@example.com", "reference": "C-1", "ground": "claims"}


@pytest.fixture
def ada(app: Flask) -> Staff:
    return staff(app, Role.COMPLIANCE, name="ada")


class TestTasks:
    @pytest.fixture
    def erasure(self, app: Flask) -> str:
        with app.app_context():
            add_destination("crm", NEWS)
            store()
            [erased] = erase()
            run_in_transaction(
                lambda c: c.execute(
                    "UPDATE erasure_task SET by_hand_since = begun_at, reason = %s FROM erasure e"
                    " WHERE e.id = erasure_id",
                    (f"delete it there {SCRIPT}",),
                )
            )
            return str(erased)

    def test_are_listed_by_tool_without_addresses(
        self, app: Flask, ada: Staff, erasure: str
    ) -> None:
        assert erasure
        html = ada.get(TASKS).get_data(as_text=True)
        assert "crm" in html
        assert SCRIPT not in html
        assert "ada@example.com" not in html
        assert "hidden" in html
        assert rows(app, "SELECT count(*) FROM audit WHERE action LIKE 'erasures.%'") == [(0,)]

    def test_show_an_address_to_compliance_only_and_record_it(
        self, app: Flask, ada: Staff, erasure: str
    ) -> None:
        path = f"{TASKS}/addresses"
        assert staff(app, Role.SUPPORT).post(path, tool="crm").status_code == 403
        assert "ada@example.com" not in words(ada.post(path, tool="other"))
        assert "ada@example.com" in words(ada.post(path, tool="crm"))
        seen = "SELECT actor, detail FROM audit WHERE action = 'erasures.addresses_seen'"
        assert rows(app, seen) == [("console:ada", {"erasures": [erasure]})]

    def test_are_done_with_how_and_by_whom(self, app: Flask, ada: Staff, erasure: str) -> None:
        path = f"{TASKS}/{erasure}"
        assert ada.post(path, tool="crm", how="magic").status_code == 422
        assert ada.post(path, tool="crm", how="not_there").status_code == 303
        assert "Nothing waits for a person" in words(ada.get(TASKS))
        [(actor, detail)] = rows(
            app, "SELECT actor, detail FROM audit WHERE action = 'erasures.done_by_hand'"
        )
        assert (actor, detail["done_by"], detail["how"]) == ("console:ada", "ada", "not_there")
        assert ada.post(path, tool="crm", how="deleted").status_code == 422


class TestHolds:
    def test_a_hold_is_placed_and_stops_an_erasure(self, app: Flask, ada: Staff) -> None:
        asked = ask(app, RequestKind.ERASE, level=IdentityLevel.CONTACT)
        assert ada.post(f"{HOLDS}/place", **CASE | {"ground": SCRIPT}).status_code == 303
        html = ada.get(HOLDS).get_data(as_text=True)
        assert "C-1" in html
        assert SCRIPT not in html
        assert "legal hold" in words(ada.get(f"/console/requests/{asked.id}"))
        ada.post(f"/console/requests/{asked.id}/propose", outcome="fulfilled")
        other = staff(app, Role.COMPLIANCE)
        assert other.post(f"/console/requests/{asked.id}/decide").status_code == 422
        assert load(app, asked).state is RequestState.OPEN

    def test_who_placed_a_hold_cannot_end_it(self, app: Flask, ada: Staff) -> None:
        ada.post(f"{HOLDS}/place", **CASE)
        answer = ada.post(f"{HOLDS}/end", reference="C-1", confirmed="yes")
        assert answer.status_code == 422
        assert "another person has to decide" in words(answer)
        other = staff(app, Role.COMPLIANCE)
        assert "go on" in words(other.post(f"{HOLDS}/end", reference="C-1"))
        assert rows(app, "SELECT count(*) FROM hold WHERE ended_at IS NULL") == [(1,)]
        other.post(f"{HOLDS}/end", reference="C-1", confirmed="yes")
        assert rows(app, "SELECT ended_by FROM hold") == [("console:grace",)]

    def test_a_hold_that_cannot_be_placed_says_why(self, app: Flask, ada: Staff) -> None:
        for wrong, problem in (
            ({"reference": ""}, "State the case"),
            ({"reference": "ada@example.com"}, "never an address"),
            ({"until": "2020-01-01T00:00"}, "not in the future"),
            ({"until": "later"}, "Write the time"),
            ({"address": "ada"}, "address"),
        ):
            answer = ada.post(f"{HOLDS}/place", **CASE | wrong)
            assert answer.status_code == 422
            assert problem in words(answer)
        assert rows(app, "SELECT count(*) FROM hold") == [(0,)]


class TestCorrections:
    def test_an_address_is_moved_and_the_move_undone(self, app: Flask, ada: Staff) -> None:
        asked = ask(app, RequestKind.CORRECT, level=IdentityLevel.CONTACT)
        path = f"/console/requests/{asked.id}"
        form = {"channel": "email", "address": "ada@example.org"}
        assert "make sure" in words(ada.post(f"{path}/move", **form))
        assert ada.post(f"{path}/move", **form, proven="yes").status_code == 303
        assert load(app, asked).state is RequestState.DONE
        shown = words(ada.get(path))
        assert "Undo the move" in shown
        assert "example.org" not in shown
        assert ada.post(f"{path}/undo-move").status_code == 303
        assert "was undone" in words(ada.get(path))

    def test_after_a_week_a_move_is_not_undone(self, app: Flask, ada: Staff, clock: Clock) -> None:
        asked = ask(app, RequestKind.CORRECT, level=IdentityLevel.CONTACT)
        path = f"/console/requests/{asked.id}"
        form = {"channel": "email", "address": "ada@example.org", "proven": "yes"}
        ada.post(f"{path}/move", **form)
        clock.advance(timedelta(days=8))
        late = staff(app, Role.COMPLIANCE, name="ada")
        assert "Undo the move" not in words(late.get(path))
        assert late.post(f"{path}/undo-move").status_code == 422

    def test_an_event_of_nobody_is_not_retracted(self, app: Flask, ada: Staff) -> None:
        asked = ask(app, RequestKind.CORRECT, level=IdentityLevel.CONTACT)
        path = f"/console/requests/{asked.id}/retract"
        for event in ("06H0-SJ4E-G1WH-34VF", "nonsense"):
            assert ada.post(path, event=event).status_code == 422
        assert ("console:ada", "consent_retracted") not in actions(app, asked)
