"""The states and counts of imports in words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask_babel import format_decimal, lazy_gettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from preference_center.integrations.base.presets import RowMeaning
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.store.import_jobs import ImportState

STATE_TITLES: Mapping[ImportState, LazyString] = {
    ImportState.AWAITING_FILE: lazy_gettext("waits for its file"),
    ImportState.UPLOADED: lazy_gettext("is being read"),
    ImportState.PLANNED: lazy_gettext("waits for your confirmation"),
    ImportState.UNUSABLE: lazy_gettext("needs instructions"),
    ImportState.APPLYING: lazy_gettext("is being applied"),
    ImportState.APPLIED: lazy_gettext("applied"),
    ImportState.UNDOING: lazy_gettext("is being undone"),
    ImportState.UNDONE: lazy_gettext("undone"),
}
STATE_KINDS: Mapping[ImportState, str] = {
    ImportState.AWAITING_FILE: "none",
    ImportState.UPLOADED: "none",
    ImportState.PLANNED: "warn",
    ImportState.UNUSABLE: "bad",
    ImportState.APPLYING: "none",
    ImportState.APPLIED: "good",
    ImportState.UNDOING: "none",
    ImportState.UNDONE: "none",
}
"""As `ui.badge` has them."""

MEANING_TITLES: Mapping[RowMeaning, LazyString] = {
    RowMeaning.OPT_OUT: lazy_gettext("opt-out"),
    RowMeaning.SUBSCRIPTION: lazy_gettext("subscription"),
    RowMeaning.BOUNCE: lazy_gettext("bounce"),
    RowMeaning.COMPLAINT: lazy_gettext("complaint"),
}

# From the beginning of a word, so that a long one without an @ is read once.
_ADDRESS = re.compile(r"(?<![^\s\"'<>(),;:=])[^\s\"'<>(),;:=]+@[^\s\"'<>(),;:=]+")


def without_addresses(text: str) -> str:
    """A text about a file, which may quote a cell of it, with no address in it (I12)."""
    return _ADDRESS.sub("•••@•••", text)


def warnings_of(stats: ImportStats) -> list[str]:
    """What to know before an import with these counts is applied."""
    found: list[tuple[int, str]] = [
        (
            stats.refused,
            _("Refused, and not imported: %(count)s. See why below."),
        ),
        (
            stats.undated,
            _("Opt-outs, bounces and complaints without a date, which count from now: %(count)s."),
        ),
        (
            stats.without_country_code,
            _("Phone numbers without a country code, read as local ones: %(count)s."),
        ),
        (
            stats.without_evidence,
            _("Subscriptions without evidence, recorded as unproven: %(count)s."),
        ),
        (
            stats.still_suppressed,
            _("Subscriptions that stay off, since these people have opted out: %(count)s."),
        ),
        (stats.excluded, _("Left out, as instructed: %(count)s.")),
        (stats.without_data, _("Rows with nothing that could be imported: %(count)s.")),
    ]
    return [text % {"count": format_decimal(count)} for count, text in found if count]
