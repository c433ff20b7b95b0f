"""`/emails/<token>`: the reader of a mailbox stops the emails that anybody can have sent to it."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.addresses import mask_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.web.emails import (
    EMAIL_STOP_DURATION,
    allow_emails,
    find_stop,
    read_stop_token,
    stop_emails,
)
from preference_center.web.pages.rendering import catalogue_or_empty, render_page


def stop_unproven_emails(token: str = "") -> ResponseReturnValue:
    """Show whether they are stopped, with a button (GET, HEAD); stop or allow them (POST).

    Scanners fetch links, so only the button counts (I7). Raises InvalidLink.
    """
    context = services()
    now, keys = context.now(), context.keys
    address = read_stop_token(token, now)
    if request.method == "POST" and "stop" in request.form:
        run_in_transaction(lambda c: stop_emails(c, keys, address, now))
        return _redirect(token)
    if request.method == "POST" and "allow" in request.form:
        run_in_transaction(lambda c: allow_emails(c, keys, address))
        return _redirect(token, allowed=True)
    return render_page(
        "recipients/email_stop",
        brands=tuple(catalogue_or_empty().brands.values()),
        token=token,
        address=mask_address(address),
        ends_at=run_autocommit(lambda c: find_stop(c, keys, address, now)),
        days=EMAIL_STOP_DURATION.days,
        allowed="allowed" in request.args,
        self_path=url_for("pages.stop_unproven_emails", token=token, lang=None),
    )


def _redirect(token: str, *, allowed: bool = False) -> ResponseReturnValue:
    """To the same page by GET, which can be reloaded and switched in language."""
    return redirect(
        url_for(
            "pages.stop_unproven_emails",
            token=token,
            allowed="yes" if allowed else None,
            _anchor="result",
        ),
        303,
    )
