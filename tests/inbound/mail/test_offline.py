"""Opt-outs by mail to what a sender put into the header by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.inbound.mail.mails import DOMAIN, apple, outlook, receiving, send
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def to(app: Flask) -> str:
    from preference_center.core.links.offline import LinkMinter

    words = ["keys", "link-key", "shop", "--topic", "acme.news", "--topic", "acme.offers"]
    key = app.test_cli_runner().invoke(args=words).stdout
    minter = LinkMinter(key)
    minter._mail_domain = DOMAIN
    header = minter.headers("Jane.Doe@example.com", "acme.offers")["List-Unsubscribe"]
    return header.partition("mailto:")[2].partition("?")[0]


def test_it_opts_out_of_the_topic(app: Flask, to: str, ledger: Ledger) -> None:  # RULES A11
    with receiving(app, "smtp") as port:
        assert send(port, outlook(to), to) == {}
    (event,) = ledger.events()
    assert (event["kind"], event["scope"]) == ("opted_out", "acme.offers")
    assert event["evidence"]["method"] == "mailto"
    assert "issued_on" not in event["evidence"]  # I8: not known, so not stated


def test_an_address_that_was_never_stored_is_honoured_at_once_and_recorded_later(
    app: Flask, to: str, ledger: Ledger, allowed: Callable[..., bool], store: Callable[[str], None]
) -> None:  # I2
    with receiving(app, "smtp") as port:
        other = "someone.else@example.org"
        send(port, apple(to, sender=other), to, sender=other)
    assert ledger.events() == []
    assert not allowed("jane.doe@example.com")
    listed = app.test_cli_runner().invoke(args=["inbound", "pending"])
    assert "link of key ~" in listed.stdout
    store("jane.doe@example.com")
    app.test_cli_runner().invoke(args=["inbound", "resolve-pending"])
    assert ledger.kinds()[-1] == ("opted_out", "acme.offers")


def test_with_the_database_away_the_mail_is_kept_by_its_server(app: Flask, to: str) -> None:
    # I1: whose token it is can't be looked up
    import smtplib

    from preference_center.infra.context import db
    from preference_center.infra.keys.link_keys import clear_link_cache

    with receiving(app, "smtp") as port, app.app_context(), pytest.MonkeyPatch.context() as patch:
        clear_link_cache()
        patch.setattr(type(db.engine), "raw_connection", _away)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            send(port, outlook(to), to)
    ((code, _),) = caught.value.recipients.values()
    assert code == 451


def _away(_engine: object) -> None:
    from sqlalchemy import exc

    raise exc.TimeoutError
