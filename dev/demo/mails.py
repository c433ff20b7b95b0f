"""Mail as a sender of the demo would send it, captured instead of sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID, uuid4

from markupsafe import Markup

from dev.demo.files import Files
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links import list_unsubscribe_headers
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin, build_consent_change

TOPIC = "cascina.newsletter"
MESSAGE_TYPE = "newsletter.monthly"
LANGUAGE = "en"

NAMES = (
    *("ada", "grace", "alan", "edsger", "barbara", "ken"),
    *("margaret", "dennis", "radia", "tim", "katherine", "john"),
)

# No line is folded (998 is RFC 5322's limit): white space inside a URI would break it.
_POLICY = policy.SMTP.clone(max_line_length=998)

_TEXT = """The chestnuts are in, and so is the first pressing of oil.

Unsubscribe: {unsubscribe}
Choose what you receive: {preferences}
"""
_HTML = Markup("""<h2>The farm journal</h2>
<p>The chestnuts are in, and so is the first pressing of oil. Come and taste both.</p>
<p class="links"><a href="{unsubscribe}" target="_blank" rel="noreferrer">Unsubscribe</a>
<a href="{preferences}" target="_blank" rel="noreferrer">Choose what you receive</a></p>
""")


@dataclass(frozen=True, slots=True)
class Mail:
    """One captured mail."""

    number: int
    headers: tuple[tuple[str, str], ...]
    recipient: str
    html: str
    unsubscribe_url: str
    preferences_url: str


def capture(files: Files) -> Mail:
    """Send the newsletter to somebody new, who asked for it, and capture it."""
    number = _newest(files) + 1
    path = files.mails / f"{number:04}.eml"
    while True:
        try:
            with path.open("xb") as file:  # nobody else gets this number
                file.write(bytes(_write(number)))
        except FileExistsError:
            number += 1
            path = files.mails / f"{number:04}.eml"
        else:
            return _read(path)


def newest(files: Files, count: int) -> list[Mail]:
    """The mails captured last, newest first."""
    paths = sorted(files.mails.glob("*.eml"), reverse=True)[:count]
    return [_read(path) for path in paths if path.stat().st_size]


def _newest(files: Files) -> int:
    return max((int(path.stem) for path in files.mails.glob("*.eml")), default=0)


def _write(number: int) -> EmailMessage:
    context, catalogue = services(), current_catalogue()
    now = context.now()
    turn, place = divmod(number - 1, len(NAMES))
    name = NAMES[place]
    address = parse_address(f"{name}{turn + 1 if turn else ''}@example.com", Channel.EMAIL)
    topic = catalogue.topic(TOPIC)
    proof = ConsentEvidence("demo", "Send me the farm journal.", LANGUAGE, now - timedelta(days=30))
    consent = build_consent_change(
        context.new_id(), address, topic, proof, RequestOrigin("demo", "demo", now), own_act=False
    )
    record([consent])
    message_id = uuid4()
    link = Link(address, TOPIC, str(message_id), now)
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = catalogue.brands[topic.brand].sender
    mail["To"] = f"{name.title()} <{address.exact}>"
    mail["Subject"] = "The farm journal: chestnuts, oil and an open day"
    mail["Date"] = format_datetime(now)
    _add_links(mail, link, message_id)
    return mail


def _add_links(mail: EmailMessage, link: Link, message_id: UUID) -> None:
    links = services().links
    token = links.create_token(link)
    urls = {
        "unsubscribe": links.unsubscribe_url(token),
        "preferences": links.preferences_url(token),
    }
    mail["Message-ID"] = f"<{message_id}@posta.cascina-aurora.example>"
    for name, value in list_unsubscribe_headers(links, link).items():
        mail[name] = value
    mail.set_content(_TEXT.format(**urls))
    mail.add_alternative(str(_HTML.format(**urls)), subtype="html")


def _read(path: Path) -> Mail:
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("html",))
    assert body
    html = body.get_content()
    _, preferences = re.findall(r'href="([^"]+)"', html)
    shown = ("From", "To", "Subject", "Date", "List-Unsubscribe", "List-Unsubscribe-Post")
    return Mail(
        number=int(path.stem),
        headers=tuple((name, str(mail[name])) for name in shown),
        recipient=mail["To"].addresses[0].addr_spec,
        html=html,
        unsubscribe_url=mail["List-Unsubscribe"].strip("<>"),
        preferences_url=preferences,
    )
