"""What the people and systems of the made-up company do, by the service's own functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from flask import current_app

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts import choices
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change
from preference_center.core.links.tokens import Link
from preference_center.inbound.ingest import ingest_mail
from preference_center.infra import outbox
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import SendResult
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_consent_change,
    build_opt_out_change,
)
from preference_center.lists.imports.apply import ImportBudget, apply_import, create_import
from preference_center.lists.imports.plan import plan_import
from preference_center.lists.imports.sources import LocalFile
from preference_center.lists.rules.instructions import ImportInstructions, build_scope_map
from preference_center.rights.requests import handle
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia

SENDER = "key:shop"
"""Who relays what people say in the shop."""
REPLIES = "risposte@posta.cascina-aurora.example"
"""The mailbox that replies to the company's mail go to."""
LINK_KEY = "k1"
MESSAGE = UUID("0198f1de-7c1a-7000-8000-0000000000ab")


def email(address: str) -> Address:
    """An email address."""
    return parse_address(address, Channel.EMAIL)


def consent(address: str, *topics: str) -> list[Change]:
    """They asked for these topics in the shop."""
    now = services().now()
    proof = ConsentEvidence("shop", "Yes, write to me.", "en", now)
    origin = RequestOrigin("api", SENDER, now)
    return [
        build_consent_change(
            services().new_id(),
            email(address),
            current_catalogue().topic(topic),
            proof,
            origin,
            own_act=False,
        )
        for topic in topics
    ]


def click(
    address: str,
    scope: str,
    source: str = choices.ONE_CLICK,
    sent: timedelta = timedelta(hours=2),
) -> Change:
    """They opted out by the link of a message that was sent so long before."""
    now = services().now()
    link = Link(email(address), scope, str(MESSAGE), now - sent, LINK_KEY)
    return choices.opt_out(link, scope, source, now)


def return_to(address: str, scope: str) -> Change:
    """They turned a topic on again, on the preference page."""
    now = services().now()
    link = Link(email(address), scope, str(MESSAGE), now - timedelta(hours=2), LINK_KEY)
    wording = current_catalogue().topics[scope].title["en"]
    return choices.opt_in(link, scope, now - timedelta(minutes=1), now, wording)


def pause(address: str, scope: str, time: timedelta) -> Change:
    """They paused a topic, on the preference page."""
    now = services().now()
    link = Link(email(address), scope, str(MESSAGE), now - timedelta(hours=2), LINK_KEY)
    return choices.pause(link, scope, now + time, now)


def relay(address: str, scope: str, via: ReceivedVia, actor: str = SENDER) -> Change:
    """They opted out in the shop, or told somebody of the staff."""
    now = services().now()
    origin = RequestOrigin("api" if actor == SENDER else "console", actor, now)
    return build_opt_out_change(
        services().new_id(),
        email(address),
        scope,
        via,
        origin,
        received_at=now,
        occurred_at=now,
    )


def record_all(changes: Iterable[Change]) -> None:
    """Write them to the ledger."""
    record(list(changes))


def write_to_us(sender: str, subject: str, text: str) -> None:
    """They answered a message."""
    now = services().now()
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"] = sender, REPLIES
    mail["Subject"], mail["Date"] = subject, format_datetime(now)
    mail["Message-ID"] = f"<{services().new_id()}@example.net>"
    mail.set_content(text)
    content = bytes(mail)
    ingest_mail(content, [REPLIES], now, size=len(content), sender=sender)


def ask(
    kind: RequestKind,
    address: str,
    via: RequestVia,
    level: IdentityLevel,
    text: str = "",
    extent: Extent | None = None,
) -> None:
    """They use one of their rights."""
    new = NewRequest(
        kind, via, "en", (email(address),), extent=extent, level=level, text=text,
        identity_asked=level is IdentityLevel.NONE,
    )  # fmt: skip
    handle.open_request(new, "console:sara")


def import_list(path: Path, rows: Iterable[tuple[str, str]], topic: str) -> None:
    """Import opt-outs of another tool: an address and when it opted out."""
    lines = (f"{address},{at}" for address, at in rows)
    path.write_text("\n".join(["email,opted_out_at", *lines]) + "\n")
    source = LocalFile(path)
    instructions = ImportInstructions(
        get_preset("generic-list"), build_scope_map([("list", topic)]), MeaningFilter.OPT_OUTS
    )
    plan = plan_import(source, instructions, current_catalogue(), on_refusal=lambda _: None)
    number = create_import(
        source, instructions, name=path.name, actor="console:olga", plan_id=plan.id
    )
    apply_import(number, source, ImportBudget())


def mark_mails_sent() -> None:
    """What a mail server took at the time."""

    def settle(connection: Connection) -> bool:
        context = services()
        now, lease = context.now(), context.new_id()
        claimed = outbox.claim_email(connection, lease, now=now, until=now + timedelta(minutes=1))
        if claimed is not None:
            outbox.settle_email(connection, claimed.id, lease, SendResult.SENT)
        return claimed is not None

    while run_in_transaction(settle):
        pass


def check(key: str, message_type: str, addresses: list[str]) -> None:
    """A sender asks whether it may write to them."""
    answer = current_app.test_client().post(
        "/v1/decisions",
        json={"message_type": message_type, "recipients": addresses},
        headers={"Authorization": f"Bearer {key}"},
        base_url=services().settings.public_url,
    )
    assert answer.status_code == HTTPStatus.OK, answer.text
