"""Every connector there is, and how far each has been proved. Explicit: no magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.integrations.base.contract import CREATE_CONTACTS, Connector, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.webhook_only import LISTENERS
from preference_center.integrations.braze import connector as braze
from preference_center.integrations.brevo import connector as brevo
from preference_center.integrations.customerio import connector as customerio
from preference_center.integrations.file_drop import connector as file_drop
from preference_center.integrations.ghost import connector as ghost
from preference_center.integrations.hubspot import connector as hubspot
from preference_center.integrations.intercom import connector as intercom
from preference_center.integrations.iterable import connector as iterable
from preference_center.integrations.klaviyo import connector as klaviyo
from preference_center.integrations.listmonk import connector as listmonk
from preference_center.integrations.mailchimp import connector as mailchimp
from preference_center.integrations.mailersend import connector as mailersend
from preference_center.integrations.mailgun import connector as mailgun
from preference_center.integrations.mailman import connector as mailman
from preference_center.integrations.postmark import connector as postmark
from preference_center.integrations.resend import connector as resend
from preference_center.integrations.salesforce import connector as salesforce
from preference_center.integrations.sendgrid import connector as sendgrid
from preference_center.integrations.ses import connector as ses
from preference_center.integrations.tryton import connector as tryton
from preference_center.integrations.twilio import connector as twilio
from preference_center.integrations.webhook import connector as webhook

__all__ = ["ENTRIES", "Entry", "Proof", "SetupError", "kinds", "make"]


class SetupError(ValueError):
    """The kind or a setting's name can't be used; names the right ones."""


# One a line, in the order of the documentation.
_ENTRIES = (
    webhook.ENTRY,
    file_drop.ENTRY,
    sendgrid.ENTRY,
    hubspot.ENTRY,
    mailchimp.ENTRY,
    mailgun.ENTRY,
    salesforce.ENTRY,
    klaviyo.ENTRY,
    brevo.ENTRY,
    mailman.ENTRY,
    ses.ENTRY,
    listmonk.ENTRY,
    tryton.ENTRY,
    postmark.ENTRY,
    braze.ENTRY,
    intercom.ENTRY,
    resend.ENTRY,
    iterable.ENTRY,
    customerio.ENTRY,
    mailersend.ENTRY,
    twilio.ENTRY,
    ghost.ENTRY,
    *LISTENERS,
)
ENTRIES: Mapping[str, Entry] = {entry.kind: entry for entry in _ENTRIES}


def kinds() -> tuple[str, ...]:
    """The kinds of connector, in the order of the documentation."""
    return tuple(ENTRIES)


def make(kind: str, setup: Setup, http: Http) -> Connector:
    """The connector of `kind` for one destination; nothing is sent.

    Raises SetupError for an unknown kind, for settings that are unknown or missing, and when
    the library that the kind needs is not installed.
    """
    entry = ENTRIES.get(kind)
    if entry is None:
        raise SetupError(f"there is no connector {kind!r}: use one of {', '.join(ENTRIES)}")
    _check_names(entry, setup)
    if entry.listen is not None and entry.is_heard_only(setup.settings):
        return entry.listen(setup, http)
    try:
        return entry.build(setup, http)
    except ModuleNotFoundError as error:
        if not entry.extra:
            raise
        raise SetupError(
            f"{entry.title} needs a library that is not installed: "
            f"in the checkout, pip install '.[{entry.extra}]'"
        ) from error


def _check_names(entry: Entry, setup: Setup) -> None:
    known = {name.removesuffix("?") for name in entry.settings}
    needed = {name for name in entry.settings if not name.endswith("?")}
    if entry.is_heard_only(setup.settings):
        needed = set()
    faults = [f"unknown setting {name}" for name in sorted(setup.settings.keys() - known)]
    faults += [f"setting {n} is missing" for n in sorted(needed) if not setup.settings.get(n)]
    if setup.settings.get(CREATE_CONTACTS, "no") not in {"yes", "no"}:
        faults.append(f"{CREATE_CONTACTS}: write yes or no")
    if faults:
        names = ", ".join(entry.settings)
        raise SetupError(f"{entry.kind}: {'; '.join(faults)}. Settings (? = optional): {names}")
