"""Which secrets a form of settings may keep."""

from __future__ import annotations

from preference_center.destinations.rules.settings import (
    keep_secrets,
    list_secrets_to_repeat,
    merge_settings,
)

HELD = {"url": "https://tool.example", "key": "s3cret", "rate": "5 per second"}
SECRETS = frozenset({"key", "token"})


def test_a_secret_that_was_left_empty_is_kept_while_nothing_changes() -> None:
    entered = {"url": HELD["url"], "key": "", "rate": HELD["rate"]}
    assert keep_secrets(entered, HELD, SECRETS) == HELD


def test_every_secret_is_entered_again_once_anything_changes() -> None:
    for changed in ({"url": "https://other.example"}, {"rate": ""}, {"token": "new"}):
        entered = {**HELD, "key": ""} | changed
        settings = keep_secrets(entered, HELD, SECRETS)
        assert settings == entered
        assert list_secrets_to_repeat(settings, HELD, SECRETS) == {"key"}


def test_an_empty_setting_is_removed_and_others_stay() -> None:
    merged = merge_settings(HELD, {"rate": "", "token": "new"})
    assert merged == {"url": HELD["url"], "key": HELD["key"], "token": "new"}


def test_a_form_without_the_secret_does_not_keep_it() -> None:
    merged = merge_settings(HELD, {"url": "https://other.example"}, SECRETS)
    assert merged == {"url": "https://other.example", "rate": HELD["rate"]}
