"""/console/requests/holds: what must be kept for a claim or by law, and is not erased meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights import words
from preference_center.rights.console import progress
from preference_center.rights.console.act_pages import (
    ActPage,
    Field,
    options,
    read_choice,
    read_time,
    render_act,
)
from preference_center.rights.console.problems import problem_words
from preference_center.rights.holds import end_hold, place_hold
from preference_center.rights.rights_holds import Hold, list_holds
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page

_MAX_HOLDS = 500


class Case(NamedTuple):
    """The holds that were placed together, one for each address."""

    first: Hold
    addresses: int
    is_in_force: bool


def hold_list() -> ResponseReturnValue:
    """The newest cases, and whether they last."""
    holds = run_autocommit(lambda connection: list_holds(connection, _MAX_HOLDS))
    return render_page(
        "rights/console/holds",
        cases=list(_cases(holds)),
        actor=current_actor(),
        progress=progress,
    )


def place_case() -> ResponseReturnValue:
    """Hold an address and the others of its contact: the form (GET), and the hold (POST)."""
    problem = ""
    if request.method == "POST":
        try:
            _place()
        except InvalidInput as error:
            problem = problem_words(error)
        else:
            return redirect_after_post(url_for("console.hold_list"))
    return render_act(_hold_page(), url_for("console.hold_list"), problem)


def end_case() -> ResponseReturnValue:
    """End the holds of a case: a page that says so first, then the end (POST)."""
    reference, problem = request.form.get("reference", ""), ""
    if "confirmed" in request.form:
        try:
            end_hold(reference, current_actor())
        except InvalidInput as error:
            problem = problem_words(error)
        else:
            return redirect_after_post(url_for("console.hold_list"))
    page = ActPage(
        _("End a hold"),
        [
            _(
                "Case %(case)s: erasure and retention of its people go on.",
                case=reference,
            ),
            _("Who placed the hold can’t end it."),
        ],
        _("End the hold"),
        (
            Field("reference", "", type="hidden", value=reference),
            Field("confirmed", "", type="hidden", value="yes"),
        ),
        danger=True,
    )
    return render_act(page, url_for("console.hold_list"), problem)


def _hold_page() -> ActPage:
    return ActPage(
        _("Place a hold"),
        [
            _("While it lasts, neither erasure nor retention touches this address and the others of"
              " its contact. Opt-outs count as always. It counts at once; another person ends it.")
        ],
        _("Place the hold"),
        (
            Field("channel", _("Channel"), options(Channel, words.channel_words)),
            Field("address", _("Address")),
            Field("reference", _("Case"), hint=_("As you name it, and nothing personal")),
            Field("ground", _("Ground"), hint=_("The person reads it, e.g. claims")),
            Field(
                "until",
                _("Until"),
                type="datetime-local",
                hint=_("Empty: until somebody ends it"),
                required=False,
            ),
        ),
    )  # fmt: skip


def _place() -> None:
    values = {name: request.form.get(name, "").strip() for name in ("reference", "ground")}
    if not all(values.values()):
        raise InvalidInput(_("State the case and the ground."))
    if "@" in values["reference"]:
        raise InvalidInput(_("The case is a number or a name of yours, and never an address."))
    region = services().settings.phone_region
    typed, channel = request.form.get("address", ""), read_choice(Channel, "channel")
    address = parse_address(typed, channel, region=region)
    place_hold(address, values["reference"], values["ground"], current_actor(), read_time("until"))


def _cases(holds: Iterable[Hold]) -> Iterable[Case]:
    now = services().now()
    for _key, group in groupby(holds, key=lambda hold: (hold.reference, hold.placed_at)):
        placed = list(group)
        yield Case(placed[0], len(placed), any(hold.is_in_force(now) for hold in placed))
