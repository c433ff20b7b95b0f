"""Portal links: what opens our page for somebody whom the company's log-in has authenticated."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from tests.clock import START, Clock
from tests.web.api.sender import Sender

ADA = "ada@example.com"
MINUTE = timedelta(minutes=1)


def test_a_portal_link_opens_the_page_of_that_address(sender: Sender, clock: Clock) -> None:
    answer = sender.post("/v1/portal-links", {"address": ADA, "language": "it-IT"})
    body = answer.get_json()
    assert body["expires_at"] == (START + 5 * MINUTE).isoformat()
    url = urlsplit(body["url"])
    assert url.netloc == "preferences.example.com"
    assert "ada@" not in body["url"]  # I12
    page = sender.client.get(f"{url.path}?{url.query}", follow_redirects=True)
    assert page.status_code == 200
    assert page.request.path.startswith("/p/")
    assert '<html lang="it">' in page.text
    clock.advance(5 * MINUTE + timedelta(seconds=1))
    assert sender.client.get(url.path).status_code == 410


def test_a_portal_link_for_a_phone(sender: Sender) -> None:
    body = {"address": "+39 333 123 4567", "channel": "sms"}
    url = urlsplit(sender.post("/v1/portal-links", body).get_json()["url"])
    assert "SMS" in sender.client.get(url.path, follow_redirects=True).text


def test_events_of_a_portal_page_can_be_traced_to_who_opened_it(sender: Sender) -> None:
    url = urlsplit(sender.post("/v1/portal-links", {"address": ADA}).get_json()["url"])
    page = sender.client.get(url.path, follow_redirects=True)
    token = page.request.path.removeprefix("/p/").split("/")[0]
    sender.client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    ((actor, action, detail),) = sender.rows("SELECT actor, action, detail FROM audit")
    ((evidence,),) = sender.rows("SELECT evidence FROM event_evidence")
    assert (actor, action) == ("key:shop", "portal_link.created")
    assert detail == {"one_time_token": evidence["message_id"]}


def test_a_link_for_several_addresses_opens_one_page(sender: Sender) -> None:
    also = [{"channel": "sms", "address": "+393331234567"}]
    body = {"address": ADA, "also": also, "language": "en"}
    url = urlsplit(sender.post("/v1/portal-links", body).get_json()["url"])
    assert ADA not in url.query  # I12
    assert "393331234567" not in f"{url.path}?{url.query}"
    client = sender.app.test_client()
    page = client.get(f"{url.path}?{url.query}", follow_redirects=True).text
    assert "+39 *** **67" in page
    assert "SMS" in page
    created = "SELECT FROM audit WHERE action = 'portal_link.created'"
    assert len(sender.rows(created)) == 2


def test_a_wrong_further_address_is_named(sender: Sender) -> None:
    body = {"address": ADA, "also": [{"channel": "sms", "address": "nobody"}]}
    answer = sender.post("/v1/portal-links", body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/also/0/address"
