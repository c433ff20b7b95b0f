"""Double opt-in from a link that may have been forwarded: an email, and `/c/<token>`, its page.

Anybody who holds a link may request an opt-in; only the reader of the mailbox can confirm
it. The token contains the whole request, sealed: nothing is stored before the button is
pressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.contacts.choices import (
    CONFIRMED_BY_MAIL,
    choose_frequency,
    opt_in,
    pause,
    resume,
)
from preference_center.contacts.rules.preferences import Preferences
from preference_center.cookies.signal import record_signal, render_gpc_page
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import EmailKind, OutgoingEmail, enqueue_email_if
from preference_center.ledger.store.events import load_events_by_id
from preference_center.recipients.pages.results import (
    read_save_result,
    requested_result,
    result_query,
    save_result_url,
)
from preference_center.recipients.pages.sections import load_preferences
from preference_center.recipients.rules import SaveProblem, SaveResult, kept_pauses, show_result
from preference_center.rights.erasure.come_back import record_opt_ins
from preference_center.web.emails import emails_stopped, may_email
from preference_center.web.languages import join_names, page_language
from preference_center.web.pages.rendering import (
    CatalogueText,
    catalogue_or_empty,
    use_link_language,
)

CONFIRMATION_LIFETIME = timedelta(days=7)
"""How long a confirmation email is valid."""


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """What the email asks to confirm. `rendered_at` is when the form was rendered (I5)."""

    id: UUID
    token: str = field(repr=False)
    link: Link = field(repr=False)
    opt_ins: Sequence[str]
    resumes: Sequence[str]
    frequencies: Mapping[str, str]
    rendered_at: datetime
    requested_at: datetime

    @property
    def scopes(self) -> list[str]:
        """All scopes that the request turns on."""
        return [*self.opt_ins, *self.resumes]

    def _event_id(self, kind: EventKind, scope: str) -> UUID:
        return uuid5(self.id, f"{kind}/{scope}")

    @property
    def event_ids(self) -> list[UUID]:
        """The ids of what confirming records."""
        asked = {
            EventKind.OPTED_IN: self.opt_ins,
            EventKind.PAUSED: self.resumes,
            EventKind.FREQUENCY_CHOSEN: self.frequencies,
        }
        return [self._event_id(kind, scope) for kind, scopes in asked.items() for scope in scopes]

    def changes(self, catalogue: Catalogue, current: Preferences, now: datetime) -> list[Change]:
        """The changes to record. Their ids are derived, so confirming twice is idempotent (I7).

        A pause that runs in `current` goes on: see `kept_pauses`.
        """
        changes = [
            opt_in(self.link, scope, self.rendered_at, now, _confirmed_wording(catalogue, scope))
            for scope in self.opt_ins
        ]
        changes += [resume(self.link, scope, self.rendered_at, now) for scope in self.resumes]
        kept = kept_pauses(self.opt_ins, self.resumes, current)
        changes += [pause(self.link, scope, until, now) for scope, until in kept.items()]
        changes += [
            choose_frequency(self.link, topic, key, self.rendered_at, now)
            for scope, key in self.frequencies.items()
            if (topic := catalogue.topics.get(scope)) and key in topic.frequencies
        ]
        return [
            replace(
                change,
                id=self._event_id(change.kind, change.scope),
                evidence={**change.evidence, "method": CONFIRMED_BY_MAIL},
            )
            for change in changes
        ]


def send_confirmation(
    token: str, link: Link, form: str, rendered_at: datetime, opt_ins: Iterable[Change]
) -> bool:
    """Email a confirmation link to the address of `link`; False beyond the limit of its mailbox.

    `form` identifies the submitted form: submitted twice, it is emailed and counted once. The
    address must be an email address, and a mail server configured.
    """
    context = services()
    # A stop is no secret from the holder of a link of this address, who waits for the email.
    if emails_stopped(link.address, context.now()):
        return False
    now, catalogue = context.now(), catalogue_or_empty()
    changes = [*opt_ins]
    scopes = [change.scope for change in changes]
    frequencies = {change.scope: change.frequency.key for change in changes if change.frequency}
    kinds = [f"{scope} {key}" for scope, key in frequencies.items()]
    email_id = uuid5(NAMESPACE_URL, " ".join([form, *sorted(scopes), *sorted(kinds)]))
    titles = [
        *scope_titles(catalogue, [c.scope for c in changes if not c.frequency]),
        *frequency_titles(catalogue, frequencies),
    ]
    data = {
        "confirm": str(email_id),
        "link": token,
        "on": [change.scope for change in changes if change.kind is EventKind.OPTED_IN],
        "resume": [change.scope for change in changes if change.kind is EventKind.PAUSED],
        "often": frequencies,
        "rendered_at": rendered_at.isoformat(),
    }
    sealed = context.links.seal_form(FormPurpose.CONFIRMATION, data, now)
    key = _common_brand(catalogue, scopes)
    brand = catalogue.brands.get(key or "")
    base = context.links.base_url(brand.host if brand else None)
    email = OutgoingEmail(
        id=email_id,
        kind=EmailKind.CONFIRM_OPT_IN,
        recipient=link.address,
        language=page_language(),
        brand=key,
        values={
            "link": f"{base}/c/{sealed}",
            "what": join_names(titles),
        },
        expires_at=now + CONFIRMATION_LIFETIME,
        unproven=True,
    )
    return enqueue_email_if(email, lambda: may_email(link.address))


def confirm(token: str = "") -> ResponseReturnValue:
    """Show a button or the result (GET, HEAD), or record the request (POST of the button).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink.
    """
    now, catalogue = services().now(), catalogue_or_empty()
    requested = _read_confirmation(token, now)
    use_link_language(requested.link)
    shown: dict[str, Any] = {
        "self_path": url_for("pages.confirm", token=token, lang=None),
        "scope_titles": [
            *scope_titles(catalogue, requested.scopes),
            *frequency_titles(catalogue, requested.frequencies),
        ],
    }
    if now - requested.requested_at > CONFIRMATION_LIFETIME:
        return render_gpc_page(
            "recipients/confirm_expired", requested.token, requested.link, status=410, **shown
        )
    if "confirm" in request.form:
        record_signal(requested.link)
        result = _record_confirmed(requested, now)
        return redirect(save_result_url("pages.confirm", token, result, (), now), 303)
    found = read_save_result(token, requested_result(), now)
    if found is None:
        return render_gpc_page(
            "recipients/confirm",
            requested.token,
            requested.link,
            confirmation=token,
            confirmed_at=_find_confirmed_at(requested),
            **shown,
        )
    current = load_preferences(catalogue, requested.link, now)
    return render_gpc_page(
        "recipients/confirmed",
        requested.token,
        requested.link,
        result=show_result(found.result, current),
        **shown | {"self_path": result_query()},
    )


def _find_confirmed_at(requested: ConfirmationRequest) -> datetime | None:
    """When the button was pressed; None if it was not."""
    found = run_in_transaction(lambda c: load_events_by_id(c, requested.event_ids))
    return min((event.received_at for event in found.values()), default=None)


def _record_confirmed(requested: ConfirmationRequest, now: datetime) -> SaveResult:
    catalogue = catalogue_or_empty()
    current = load_preferences(catalogue, requested.link, now)
    if current.restricted:  # recorded, it would not apply
        return SaveResult(requested.rendered_at, problem=SaveProblem.RESTRICTED)
    record_opt_ins(requested.changes(catalogue, current, now), page_language())
    return SaveResult(
        requested.rendered_at,
        turned_on=requested.opt_ins,
        resumed=requested.resumes,
        frequencies=requested.frequencies,
    )


def link_from_confirmation(token: str, now: datetime) -> Link:
    """The link from which a confirmation was requested, of any age. Raises InvalidLink."""
    links = services().links
    _, data = links.open_form(FormPurpose.CONFIRMATION, token, None, now, to_opt_out=True)
    return links.read_any_token(data["link"])


def scope_titles(catalogue: Catalogue, scopes: Iterable[str]) -> list[str]:
    """The titles of these scopes, in the page's language."""
    text = CatalogueText(catalogue)
    titles = []
    for scope in dict.fromkeys(scopes):
        topic = catalogue.topics.get(scope)
        if scope == ALL_MARKETING:
            titles.append(_("All marketing"))
        elif topic:
            titles.append(text(topic.title))
    return titles


def _confirmed_wording(catalogue: Catalogue, scope: str) -> str:
    """What the page of the confirmation asks about this scope."""
    titles = scope_titles(catalogue, [scope])
    return " ".join([_("Do you want to receive this?"), *titles])


def frequency_titles(catalogue: Catalogue, frequencies: Mapping[str, str]) -> list[str]:
    """Each topic with how often it is wanted, as in "News: Weekly", in the page's language."""
    text = CatalogueText(catalogue)
    return [
        f"{text(topic.title)}: {text(topic.frequencies[key])}"
        for scope, key in frequencies.items()
        if (topic := catalogue.topics.get(scope)) and key in topic.frequencies
    ]


def _common_brand(catalogue: Catalogue, scopes: Sequence[str]) -> str | None:
    """The brand of all these scopes, if they have one in common."""
    topics = [catalogue.topics.get(scope) for scope in scopes]
    brands = {topic.brand if topic else None for topic in topics}
    return brands.pop() if len(brands) == 1 else None


def _read_confirmation(token: str, now: datetime) -> ConfirmationRequest:
    context = services()
    requested_at, data = context.links.open_form(FormPurpose.CONFIRMATION, token, None, now)
    return ConfirmationRequest(
        id=UUID(data["confirm"]),
        token=data["link"],
        link=context.links.read_token(data["link"], now),
        opt_ins=data["on"],
        resumes=data["resume"],
        frequencies=data.get("often", {}),
        rendered_at=datetime.fromisoformat(data["rendered_at"]),
        requested_at=requested_at,
    )
