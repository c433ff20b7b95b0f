"""Mail with our links by smtplib, Jinja and any library (docs/links.md)."""

import os
import smtplib
from email import policy
from email.message import EmailMessage
from uuid import uuid4

from jinja2 import Environment
from preference_center_links import LinkMinter

UNFOLDED = policy.SMTP.clone(max_line_length=998)

minter = LinkMinter(os.environ["LINK_KEY"])
template = Environment(autoescape=True).from_string(
    '<p>Hello {{ name }}</p><p><a href="{{ links.unsubscribe_url }}">Unsubscribe</a>'
    ' or <a href="{{ links.preferences_url }}">choose what you receive</a></p>'
)


def write(address: str, name: str) -> EmailMessage:
    links = minter.mint(address, "acme.offers", str(uuid4()))
    mail = EmailMessage(policy=UNFOLDED)
    mail["From"] = "Acme <news@acme.example>"
    mail["To"] = address
    mail["Subject"] = "This month"
    for header, value in links.headers.items():
        mail[header] = value
    mail.set_content(f"Hello {name}\n\nUnsubscribe: {links.unsubscribe_url}\n")
    mail.add_alternative(template.render(name=name, links=links), subtype="html")
    return mail


def send(address: str, name: str, host: str = "localhost", port: int = 25) -> None:
    with smtplib.SMTP(host, port) as server:
        server.send_message(write(address, name))
