"""What proves a request of a vendor that signs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    WebhookRequest,
)
from preference_center.integrations.base.webhook import SHARED_SECRET_SETTINGS, check_shared_secret
from preference_center.integrations.brevo.webhook import BrevoWebhookSource
from preference_center.integrations.registry import find_webhook, load_webhooks
from preference_center.integrations.sparkpost import SparkPostWebhookSource
from tests.integrations.base.posts import GUARDED, NOW, basic, post

SECRET = GUARDED["webhook_secret"]
USER = {"webhook_user": "brevo", "webhook_password": "pass:word"}
TOKEN = "brevo.token~0123456789"
BY_TOKEN = {"webhook_token": TOKEN, "networks": "any"}
GENUINE = post(secret=SECRET)


@pytest.mark.parametrize(
    "given, settings",
    [
        (GENUINE, GUARDED),
        (GENUINE, GUARDED | {"networks": "any"}),
        (GENUINE, GUARDED | {"networks": "198.51.100.7, 203.0.113.7"}),
        (replace(GENUINE, remote_address="::ffff:203.0.113.7"), GUARDED),
        (replace(GENUINE, remote_address="2001:db8::1"), GUARDED | {"networks": "2001:db8::/32"}),
        (replace(GENUINE, headers=basic("brevo:pass:word")), GUARDED | USER),
        (post(headers=basic("brevo:pass:word")), USER | {"networks": "any"}),
        (post(headers={"authorization": f"Bearer {TOKEN}"}), BY_TOKEN),
        (post(headers={"authorization": f"bearer  {TOKEN}"}), BY_TOKEN),
    ],
)
def test_all_that_is_set_has_to_be_right(
    given: WebhookRequest, settings: Mapping[str, str]
) -> None:
    check_shared_secret(given, settings)


@pytest.mark.parametrize(
    "given, settings",
    [
        (post(), GUARDED),
        (post(secret=SECRET + "x"), GUARDED),
        (replace(GENUINE, remote_address="203.0.114.7"), GUARDED),
        (replace(GENUINE, remote_address="2001:db8::1"), GUARDED),
        (replace(GENUINE, remote_address=""), GUARDED),
        (GENUINE, GUARDED | USER),
        (replace(GENUINE, headers=basic("brevo:other")), GUARDED | USER),
        (replace(GENUINE, headers={"authorization": "Basic %%"}), GUARDED | USER),
        (replace(GENUINE, headers={"authorization": "Basic é"}), GUARDED | USER),
        (replace(GENUINE, headers={"authorization": "Bearer brevo"}), GUARDED | USER),
        (replace(GENUINE, headers=basic("brevo:pass:word")), USER | {"networks": "any"}),
        (post(), BY_TOKEN),
        (post(headers={"authorization": f"Bearer {TOKEN}x"}), BY_TOKEN),
        (post(headers={"authorization": f"Basic {TOKEN}"}), BY_TOKEN),
        (GENUINE, GUARDED | BY_TOKEN),
    ],
)
def test_anything_else_is_nobodys(given: WebhookRequest, settings: Mapping[str, str]) -> None:
    with pytest.raises(SignatureError) as caught:
        check_shared_secret(given, settings)
    assert not isinstance(caught.value, NotConfigured)
    assert given.remote_address not in str(caught.value) or not given.remote_address  # I12


@pytest.mark.parametrize(
    "settings, remedy",
    [
        ({}, "set networks"),
        ({"networks": "any"}, "set webhook_secret, or"),
        ({"webhook_secret": SECRET}, "set networks"),
        (GUARDED | {"networks": "example.com"}, "write each as in"),
        (GUARDED | {"webhook_secret": "short"}, "16 or more"),
        (GUARDED | {"webhook_secret": "slashes/are/not/read"}, "16 or more"),
        (GUARDED | {"webhook_user": "brevo"}, "set both"),
    ],
)
def test_without_what_it_needs_nothing_is_believed(settings: dict[str, str], remedy: str) -> None:
    with pytest.raises(NotConfigured, match=remedy):
        check_shared_secret(GENUINE, settings)


def test_who_calls_shows_nowhere() -> None:  # I12
    assert GENUINE.remote_address not in repr(GENUINE)


@pytest.mark.parametrize(
    "kind", [k for k, s in load_webhooks().items() if s.settings is SHARED_SECRET_SETTINGS]
)
def test_each_that_needs_it_is_guarded(kind: str) -> None:
    webhook = find_webhook(kind)
    assert webhook is not None
    webhook.verify(GENUINE, GUARDED, NOW)
    with pytest.raises(SignatureError):
        webhook.verify(replace(GENUINE, remote_address="198.51.100.1"), GUARDED, NOW)


def test_its_secrets_are_never_shown() -> None:
    secrets = SparkPostWebhookSource.secret_settings
    assert secrets == {"webhook_secret", "webhook_password"}
    assert BrevoWebhookSource.secret_settings == secrets | {"webhook_token"}
    assert SparkPostWebhookSource.settings is SHARED_SECRET_SETTINGS


def test_whose_secret_stands_in_the_url_is_known_of_each() -> None:
    guarded = {
        kind
        for kind, source in load_webhooks().items()
        if source.settings.items() >= SHARED_SECRET_SETTINGS.items()
    }
    in_path = {kind for kind, source in load_webhooks().items() if source.secret_in_path}
    assert guarded | {"mailchimp"} == in_path
