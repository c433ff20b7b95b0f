"""What a tool holds that nobody asked it to hold is reported."""

from __future__ import annotations

from chaos.tools import TAG, MoodyMailgun, MoodyReceiver
from tests.faults.service import TOPIC


def test_who_is_off_for_the_topic_alone() -> None:
    with MoodyMailgun() as mailgun, MoodyReceiver() as receiver:
        mailgun.unsubscribed["ann@example.com"] = {TAG}
        receiver.off |= {"ann@example.com": {TOPIC}, "bea@example.com": set()}
        assert mailgun.held() == receiver.held() == {"ann@example.com"}
        assert [*mailgun.odd(), *receiver.odd()] == []


def test_who_is_off_for_more() -> None:  # I4
    with MoodyMailgun() as mailgun, MoodyReceiver() as receiver:
        mailgun.unsubscribed["ann@example.com"] = {TAG, "*"}
        receiver.off["bea@example.com"] = {"acme.news"}
        assert list(mailgun.odd()) == [f"ann@example.com is off for ['*', '{TAG}'] at Mailgun"]
        assert list(receiver.odd()) == ["bea@example.com is off for ['acme.news'] at the webhook"]
