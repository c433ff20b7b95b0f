"""The email backend for Django, and the hook of django-anymail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from clients.python.tests.contract import CONTRACT
from clients.python.tests.fake_service import KEY, URL, FakeService, decided, problem
from preference_center_client import Action, NotPermitted, Unavailable

django = pytest.importorskip("django")

from django.conf import settings  # noqa: E402
from django.core import mail as django_mail  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.mail import EmailMultiAlternatives, get_connection  # noqa: E402

if not settings.configured:
    settings.configure(DEFAULT_FROM_EMAIL="a@acme.example", EMAIL_HOST="127.0.0.1")

from django.core.mail.backends.locmem import EmailBackend as InMemory  # noqa: E402

from preference_center_client import django as hook  # noqa: E402
from preference_center_client.django import PreferenceCenterMixin, configuration  # noqa: E402

if TYPE_CHECKING:
    Configure = Callable[..., FakeService]


class Backend(PreferenceCenterMixin, InMemory):  # type: ignore[misc]
    """Keeps what is sent in `django.core.mail.outbox`."""


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Configure Django with a service that gives these answers."""

    def work(*answers: Any, **more: Any) -> FakeService:
        service = FakeService(list(answers))
        given = {
            "URL": URL,
            "KEY": KEY,
            "LINK_KEY": CONTRACT["links"]["keys"]["with_mail"],
            "MESSAGE_TYPES": {"offers.weekly": "acme.offers", "password_reset": None},
        }
        monkeypatch.setattr(settings, "PREFERENCE_CENTER", given | more, raising=False)
        monkeypatch.setattr(hook, "Client", lambda *_, **more: service.client(**more))
        monkeypatch.setattr(django_mail, "outbox", [], raising=False)
        configuration.cache_clear()
        return service

    yield work
    configuration.cache_clear()


def mail(message_type: str | None = "offers.weekly", **fields: Any) -> EmailMultiAlternatives:
    given = {"subject": "This month", "body": "Hello", "to": ["ada@example.com"]} | fields
    message = EmailMultiAlternatives(**given)
    if message_type:
        message.message_type = message_type
    return message


def send(*messages: EmailMultiAlternatives, fail_silently: bool = False) -> int:
    sent: int = Backend(fail_silently=fail_silently).send_messages(list(messages))
    return sent


def outbox() -> list[EmailMultiAlternatives]:
    return list(django_mail.outbox)


def test_marketing_that_is_allowed_goes_out_with_both_headers(configure: Configure) -> None:
    configure(decided(True))
    assert send(mail()) == 1
    [sent] = outbox()
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    raw = sent.message().as_bytes()
    value = message_from_bytes(raw)["List-Unsubscribe"].strip()
    assert value.startswith("<https://acme.example.com/u/~7.")
    assert value.endswith("?subject=unsubscribe>")
    line = next(each for each in raw.splitlines() if each.startswith(b"List-Unsubscribe:"))
    assert line.startswith(b"List-Unsubscribe: <https://")
    assert line.endswith(b"?subject=unsubscribe>")


def test_the_links_of_the_text_are_made_offline(configure: Configure) -> None:
    service = configure(httpx.ConnectError)
    minted = hook.links("offers.weekly", "Ada <ada@example.com>")
    assert minted.unsubscribe_url.startswith("https://acme.example.com/u/~7.")
    assert service.requests == []
    with pytest.raises(ImproperlyConfigured, match="no topic of 'password_reset'"):
        hook.links("password_reset", "ada@example.com")
    configure(decided(True), LINK_KEY=None)
    with pytest.raises(ImproperlyConfigured, match="no LINK_KEY"):
        hook.links("offers.weekly", "ada@example.com")


def test_who_may_not_be_sent_it_is_left_out(configure: Configure) -> None:
    service = configure(decided(True, False, False))
    message = mail(to=["Ada <ada@example.com>", "bob@example.com"], bcc=["eve@example.com"])
    assert send(message) == 1
    assert outbox()[0].recipients() == ["Ada <ada@example.com>"]
    assert b"Ada" not in service.requests[0].content


def test_a_message_without_recipients_left_is_not_sent(configure: Configure) -> None:
    configure(decided(False))
    assert send(mail()) == 0
    assert outbox() == []


def test_service_mail_goes_out_while_the_service_is_down(configure: Configure) -> None:  # I4
    service = configure(httpx.ConnectError)
    with pytest.raises(Unavailable, match=r"marketing was not sent \(1 of 3"):
        send(mail("password_reset"), mail(), mail(None))
    assert len(outbox()) == 2
    assert len(service.requests) == 3  # of one call, about the service mail
    assert all("List-Unsubscribe" not in each.extra_headers for each in outbox())


def test_a_closed_account_gets_no_service_mail(configure: Configure) -> None:  # I4
    configure(decided(True, False))
    assert send(mail("password_reset", to=["ada@example.com", "bob@example.com"])) == 1
    assert outbox()[0].recipients() == ["ada@example.com"]
    assert "List-Unsubscribe" not in outbox()[0].extra_headers


def test_marketing_that_waits_keeps_its_recipients(configure: Configure) -> None:
    configure(httpx.ConnectError)
    message = mail(to=["ada@example.com", "bob@example.com"])
    assert send(message, fail_silently=True) == 0
    assert message.recipients() == ["ada@example.com", "bob@example.com"]
    assert outbox() == []


def test_a_backend_of_later_djangos_cannot_be_silent(configure: Configure) -> None:
    class Later:
        """Without `fail_silently`, which Django 6.1 deprecates."""

        def send_messages(self, messages: list[EmailMultiAlternatives]) -> int:
            return len(messages)

    class Mixed(PreferenceCenterMixin, Later):
        pass

    configure(httpx.ConnectError)
    assert Mixed().send_messages([mail(None)]) == 1
    with pytest.raises(Unavailable):
        Mixed().send_messages([mail()])


def test_marketing_can_be_dropped_instead(configure: Configure) -> None:
    configure(httpx.ConnectError, WHEN_UNKNOWN="drop")
    assert send(mail()) == 0
    assert outbox() == []


def test_marketing_that_nobody_labelled_is_refused(configure: Configure) -> None:
    configure(decided(True))
    unlabelled = mail(None, headers={"list-unsubscribe": "<https://x.example>"})
    with pytest.raises(ImproperlyConfigured, match="set its message_type"):
        send(unlabelled)
    with pytest.raises(ImproperlyConfigured, match=r"no 'newsletter\.monthly'"):
        send(mail("newsletter.monthly"))


def test_an_error_of_one_message_does_not_keep_the_others(configure: Configure) -> None:  # I4
    configure(problem(403, "not-permitted"))
    with pytest.raises(NotPermitted):
        send(mail(), mail("newsletter.montly"), mail(None), mail("password_reset"))
    assert len(outbox()) == 2


def test_a_mail_to_several_people_has_no_link_of_one_of_them(configure: Configure) -> None:
    configure(decided(True, True))
    send(mail(to=["ada@example.com", "bob@example.com"]))
    assert "List-Unsubscribe" not in outbox()[0].extra_headers


def test_a_missing_setting_is_named(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(decided(True))
    monkeypatch.setattr(settings, "PREFERENCE_CENTER", {"URL": URL})
    with pytest.raises(ImproperlyConfigured, match="has no KEY and no MESSAGE_TYPES"):
        send(mail())


def test_a_mail_waits_no_longer_than_it_is_told(configure: Configure) -> None:
    for more, seconds in (({}, 2.0), ({"TIMEOUT": "0.5"}, 0.5)):
        service = configure(httpx.ReadTimeout, **more)
        send(mail("password_reset"))
        timeouts = [each.extensions["timeout"]["read"] for each in service.requests]
        assert timeouts[0] == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    "wrong", [{"TIMEOUT": "soon"}, {"URL": "x"}, {"KEY": ""}, {"LINK_KEY": "x"}]
)
def test_a_wrong_setting_is_named(configure: Configure, wrong: dict[str, str]) -> None:
    configure(decided(True), **wrong)
    with pytest.MonkeyPatch.context() as patch:
        from preference_center_client import Client

        patch.setattr(hook, "Client", Client)
        with pytest.raises(ImproperlyConfigured, match="PREFERENCE_CENTER: "):
            send(mail())


def test_the_backend_is_found_by_its_name(configure: Configure) -> None:
    configure(decided(True))
    backend = get_connection("preference_center_client.django.EmailBackend", fail_silently=True)
    assert isinstance(backend, PreferenceCenterMixin)


class TestAnymail:
    def test_a_message_is_checked_before_it_is_sent(self, configure: Configure) -> None:
        pytest.importorskip("anymail")
        from anymail.exceptions import AnymailCancelSend

        from preference_center_client.anymail import check_before_send

        configure(decided(True, False), decided(False), decided(False), httpx.ConnectError)
        message = mail(to=["ada@example.com", "bob@example.com"])
        check_before_send(None, message)
        assert message.recipients() == ["ada@example.com"]
        for message_type in ("offers.weekly", "password_reset"):
            with pytest.raises(AnymailCancelSend):
                check_before_send(None, mail(message_type))
        with pytest.raises(Unavailable):
            check_before_send(None, mail())
        check_before_send(None, mail("password_reset"))
        check_before_send(None, mail(None))

    def test_anymail_sends_nothing_that_is_not_allowed(self, configure: Configure) -> None:
        pytest.importorskip("anymail")
        from anymail.backends.test import EmailBackend as Anymail
        from anymail.signals import pre_send

        from preference_center_client import anymail

        configure(decided(False), decided(True))
        anymail.connect()
        anymail.connect()
        try:
            backend = Anymail(recorded_send_params=[])
            backend.send_messages([mail()])
            assert outbox() == []
            backend.send_messages([mail()])
            assert len(outbox()) == 1
        finally:
            pre_send.disconnect(dispatch_uid=anymail._DISPATCH_ID)


def test_the_actions_of_a_message_are_returned(configure: Configure) -> None:
    configure(decided(True, False))
    message = mail(to=["ada@example.com", "bob@example.com"])
    assert hook.prepare(message) == [Action.SEND, Action.DROP]
