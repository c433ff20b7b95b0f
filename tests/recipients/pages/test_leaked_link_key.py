"""What links do whose key of LINK_KEYS leaked and only opts out, and those of a removed key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ConfigError, ExpiredLink, ReplacedLinkKey
from preference_center.core.key_rings import parse_link_ring
from preference_center.core.links import FormPurpose, Links
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.metrics import render_metrics
from tests.clock import Clock
from tests.infra.mailing import give_mail_server
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_revoked import PAIR, command
from tests.web.pages.visits import proof

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

NEWER = ("k2", bytes(32))
MakeToken = Callable[..., str]


@pytest.fixture
def leak(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Links]:
    """Makes the key with which links were made so far opt out only."""

    def work() -> Links:
        wired = app.extensions[EXTENSION_NAME]
        links = wired.links
        changed: Links = replace(
            links, ring=[NEWER, *links.ring], opt_out_only=frozenset({links.newest_key_id})
        )
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, links=changed))
        return changed

    return work


@pytest.fixture
def remove(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Removes that key instead."""

    def work() -> None:
        wired = app.extensions[EXTENSION_NAME]
        changed = replace(wired.links, ring=[NEWER])
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, links=changed))

    return work


def counted(problem: str) -> float:
    """Requests that were counted with this problem."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(render_metrics().decode())
        for sample in family.samples
        if sample.name == "preference_center_link_key_problems_total"
        and sample.labels["problem"] == problem
    )


def test_a_link_of_a_leaked_key_still_opts_out_for_ever(
    client: FlaskClient, make_token: MakeToken, leak: Callable[[], Links], ledger: Ledger
) -> None:  # I7
    token = make_token()
    leak()
    before = counted("opt_out_only")
    assert client.post(f"/u/{token}", data=PAIR).text == "You are unsubscribed.\n"
    assert client.post(f"/u/{token}", data={"confirm": "all"}).status_code == 303
    assert ledger.kinds() == [("opted_out", "digest"), ("opted_out", "all_marketing")]
    assert counted("opt_out_only") == before + 2


def test_it_shows_no_choices_and_offers_a_new_link(
    app: Flask,
    client: FlaskClient,
    make_token: MakeToken,
    leak: Callable[[], Links],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_mail_server(app, monkeypatch)
    token = make_token()
    leak()
    for path in (f"/p/{token}", f"/w/{token}"):
        page = client.get(path)
        assert page.status_code == 200
        assert "Email me a new link" in page.text
        assert "Offers" not in page.text
    assert client.get(f"/w/{token}/receipt.json").status_code == 410
    client.post(f"/p/{token}", data={"topics": "offers", "all_marketing": "y"})
    assert ledger.events() == []


def test_a_sender_key_that_derives_from_it_only_opts_out_too(
    app: Flask, client: FlaskClient, clock: Clock, leak: Callable[[], Links], ledger: Ledger
) -> None:
    from preference_center.core.links.offline import LinkMinter

    key = command(app, "keys", "link-key", "shop", "--brand", "acme")
    minter = LinkMinter(key, lambda: clock().timestamp())
    token = minter.unsubscribe_url("jane.doe@example.com", "digest").rpartition("/")[2]
    assert "Offers" in client.get(f"/p/{token}").text
    leak()
    assert "Offers" not in client.get(f"/p/{token}").text
    assert client.post(f"/u/{token}", data=PAIR).status_code == 200
    assert ledger.kinds() == [("opted_out", "digest")]


def test_a_visit_of_it_proves_nothing(
    app: Flask, client: FlaskClient, clock: Clock, leak: Callable[[], Links], ledger: Ledger
) -> None:
    visit = proof(app, clock())
    assert "Offers" in client.get(f"/p/{visit}").text
    leak()
    assert "Offers" not in client.get(f"/p/{visit}").text
    client.post(f"/p/{visit}", data={"topics": "offers", "all_marketing": "y"})
    assert ledger.events() == []
    assert client.post(f"/u/{visit}", data=PAIR).status_code == 200


@pytest.mark.parametrize(
    "purpose", [TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL, TokenPurpose.RIGHTS]
)
def test_a_one_time_token_of_it_has_expired(
    app: Flask, clock: Clock, leak: Callable[[], Links], purpose: TokenPurpose
) -> None:
    address = parse_address("jane.doe@example.com", Channel.EMAIL)
    with app.app_context():
        links = app.extensions[EXTENSION_NAME].links
        token = links.create_one_time_token(purpose, address, uuid4(), clock())
        with pytest.raises(ExpiredLink):
            leak().read_one_time_token(token, purpose, clock())


@pytest.mark.parametrize("purpose", FormPurpose)
def test_a_form_of_it_turns_nothing_on_and_shows_nothing(
    app: Flask, clock: Clock, leak: Callable[[], Links], purpose: FormPurpose
) -> None:
    harmless = {FormPurpose.PREFERENCES, FormPurpose.RESULT, FormPurpose.EMAIL_STOP}
    form = app.extensions[EXTENSION_NAME].links.seal_form(purpose, {"to": "x"}, clock())
    links = leak()
    if purpose in harmless:
        links.open_form(purpose, form, timedelta(hours=1), clock())
    else:
        with pytest.raises(ReplacedLinkKey):
            links.open_form(purpose, form, timedelta(hours=1), clock())
    assert links.open_form(purpose, form, None, clock(), to_opt_out=True)[1] == {"to": "x"}


def test_what_was_spooled_before_it_leaked_is_still_recorded(
    app: Flask, leak: Callable[[], Links]
) -> None:  # I1
    sealed = app.extensions[EXTENSION_NAME].links.seal_request({"kind": "x"})
    assert leak().open_request(sealed) == {"kind": "x"}


def test_a_link_of_a_removed_key_is_counted_and_not_called_incomplete(
    client: FlaskClient, make_token: MakeToken, remove: Callable[[], None]
) -> None:
    token = make_token()
    remove()
    before = counted("unknown")
    pages = [client.get(f"/p/{token}"), client.post(f"/u/{token}", data=PAIR)]
    for page in pages:
        assert page.status_code == 404
        assert "We have replaced our links" in page.text
        assert "Part of the link is missing" not in page.text
    assert counted("unknown") == before + 2
    broken = client.get(f"/p/{token[:-3]}")
    assert "Part of the link is missing" in broken.text
    assert counted("unknown") == before + 2


def test_the_setting_marks_a_key_and_never_the_one_that_seals() -> None:
    key = "A" * 43
    ring, opt_out_only = parse_link_ring(f"k2:{key}, k1:{key}:opt-out-only")
    assert [key_id for key_id, _ in ring] == ["k2", "k1"]
    assert opt_out_only == {"k1"}
    with pytest.raises(ConfigError, match="can't be the first"):
        Links(ring, "https://x.example", opt_out_only={"k2"})
    with pytest.raises(ConfigError):
        parse_link_ring(f"k2:{key}:opt-out")
