"""Mail with our links by Django (docs/links.md)."""

import os
from uuid import uuid4

from django.core.mail import EmailMultiAlternatives
from django.utils.html import format_html
from preference_center_links import LinkMinter

minter = LinkMinter(os.environ["LINK_KEY"])


class Unfolded(EmailMultiAlternatives):
    """A mail whose headers stay on one line each."""

    def message(self, **how):
        message = super().message(**how)
        message.policy = message.policy.clone(max_line_length=998)
        return message


def send(address: str, name: str) -> None:
    links = minter.mint(address, "acme.offers", str(uuid4()))
    mail = Unfolded(
        "This month",
        f"Hello {name}\n\nUnsubscribe: {links.unsubscribe_url}\n",
        to=[address],
        headers=links.headers,
    )
    html = '<p>Hello {}</p><a href="{}">Unsubscribe</a>'
    mail.attach_alternative(format_html(html, name, links.unsubscribe_url), "text/html")
    mail.send()
