"""What must be gone after an erasure is looked for by the simulation's own times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from preference_center.catalogue.store import current_catalogue
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, build_opt_in_change
from simulation.accounts import Accounts
from simulation.entry_points import address, origin
from simulation.people import Form
from simulation.rights import Rights
from simulation.violation import Violation

pytestmark = pytest.mark.usefixtures("in_context")

WHO = Form(2, "only", "only2@example.net")


def opt_in() -> None:
    proof = ConsentEvidence("page", "Yes, please", "en", services().now())
    change = build_opt_in_change(
        services().new_id(), address(WHO), "acme.offers", proof, origin(), current_catalogue()
    )
    record([change])


@pytest.mark.parametrize("is_erased_later", [False, True])
def test_a_consent_of_before_an_erasure_is_found_though_its_person_is_back(
    is_erased_later: bool,  # noqa: FBT001 - a parameter of the test
) -> None:  # I6
    unused: Any = None
    rights = Rights(unused, unused, unused, {}, unused, Accounts())
    opt_in()
    after = timedelta(minutes=1) if is_erased_later else -timedelta(minutes=1)
    rights.accounts.erased_last[WHO] = services().now() + after
    if is_erased_later:
        with pytest.raises(Violation, match="consents of before an erasure"):
            rights.check()
    else:
        rights.check()
