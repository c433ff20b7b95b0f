"""`/w/<token>`: the status of one's opt-outs, as a page and as a receipt. Read only (I7).

A link so old that the address may have changed hands shows only the scopes that it can
itself turn off. Only a link that proves control of the address shows the systems one by one:
others can be forwarded (docs/decisions/0074).
"""

from __future__ import annotations

from datetime import datetime

from flask import Response
from flask.typing import ResponseReturnValue

from preference_center.catalogue import Catalogue
from preference_center.contacts.choices import is_opt_out_only
from preference_center.contacts.consents import build_consent_records, state_consents
from preference_center.core.errors import ExpiredLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.recipients.pages.opt_out_status import OptOutStatus, load_opt_out_status
from preference_center.recipients.pages.preference_page import old_link_page
from preference_center.recipients.pages.receipt import receipt_response
from preference_center.web.languages import page_language
from preference_center.web.pages.rendering import (
    catalogue_or_empty,
    render_link_page,
    use_link_language,
)


def opt_out_status(token: str = "") -> ResponseReturnValue:
    """The page; for a revoked link only that it was revoked."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        return old_link_page(token, link)
    return render_link_page(
        "recipients/opt_out_status",
        token,
        link,
        opt_out_status=_load_status(link, catalogue, now),
        catalogue=catalogue,
        now=now,
        shows_all=_shows_all(link, now),
        proves_control=link.proves_control,
        has_consented=link.proves_control and _has_consented(link, catalogue, now),
        channel=link.address.channel,
    )


def receipt_json(token: str = "") -> Response:
    """The receipt as JSON, to download (docs/receipts.md). Raises ExpiredLink if revoked."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        raise ExpiredLink("this link was revoked")
    return receipt_response(
        link.address,
        _load_status(link, catalogue, now),
        catalogue,
        now,
        proves_control=link.proves_control,
    )


def consent_json(token: str = "") -> Response:
    """The consents as JSON, to download (docs/policies.md). Raises ExpiredLink if revoked.

    A link that does not prove control of the address says nothing of them: others may have it.
    """
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        raise ExpiredLink("this link was revoked")
    facts = load_exact_facts([link.address])[0]
    records = run_in_transaction(
        lambda connection: build_consent_records(
            connection,
            link.address,
            catalogue,
            facts,
            page_language(),
            now,
            proves_control=link.proves_control,
        )
    )
    body = records.model_dump_json(indent=2) + "\n"
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="consent-{now:%Y-%m-%d}.json"'
    return response


def _has_consented(link: Link, catalogue: Catalogue, now: datetime) -> bool:
    facts = load_exact_facts([link.address])[0]
    return bool(state_consents(catalogue, link.address.channel, facts, now))


def _load_status(link: Link, catalogue: Catalogue, now: datetime) -> OptOutStatus:
    scopes = None if _shows_all(link, now) else {link.scope, ALL_MARKETING}
    return load_opt_out_status(link.address, catalogue, now, scopes)


def _shows_all(link: Link, now: datetime) -> bool:
    return not link.expired and not is_opt_out_only(link, now)
