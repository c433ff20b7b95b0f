"""Anyone who opens pages and presses buttons: Flask's client here, a browser in tests/browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Protocol

from werkzeug.datastructures import MultiDict

if TYPE_CHECKING:
    from flask.testing import FlaskClient


class Visitor(Protocol):
    """Somebody on one page at a time."""

    def open(self, path: str) -> None:
        """Go to a path."""

    def press(self, **fields: str) -> None:
        """Fill in the first form that has all these fields, and send it.

        A field of a button is the button that is pressed; of a box, the value that is ticked.
        """

    def download(self, action: str) -> bytes:
        """Press the button of the form whose action contains this, and return the file."""

    @property
    def text(self) -> str:
        """The source of the page."""

    @property
    def path(self) -> str:
        """Where the visitor is."""


@dataclass(slots=True)
class Form:
    """A form of a page: what it sends as it is, and the values that each field can have."""

    action: str
    sent: MultiDict[str, str] = field(default_factory=MultiDict)
    can_be: dict[str, set[str] | None] = field(default_factory=dict)
    """None: anything."""

    def takes(self, fields: Mapping[str, str]) -> bool:
        """Whether all these fields can have these values."""
        return all(
            name in self.can_be and value in (self.can_be[name] or {value})
            for name, value in fields.items()
        )

    def filled(self, fields: Mapping[str, str]) -> MultiDict[str, str]:
        """What it sends with these fields: a box is ticked in addition to others."""
        data = self.sent.copy()
        for name, value in fields.items():
            if self.can_be[name] is None:
                data[name] = value
            elif value not in data.getlist(name):
                data.add(name, value)
        return data


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
        name = given.get("name")
        if not self.found or not name or tag not in {"input", "button", "textarea", "select"}:
            return
        form, value = self.found[-1], given.get("value", "")
        kind = given.get("type", "") if tag == "input" else tag
        if kind in {"checkbox", "radio", "button"}:
            known = form.can_be.setdefault(name, set())
            assert known is not None
            known.add(value)
            if "checked" in given:
                form.sent.add(name, value)
        else:
            form.can_be[name] = None
            if kind != "select":
                form.sent[name] = value


@dataclass(slots=True)
class ClientVisitor:
    """With Flask's own client."""

    client: FlaskClient
    text: str = ""
    path: str = "/"

    def open(self, path: str) -> None:
        """See Visitor."""
        self._go(self.client.get(path, follow_redirects=True))

    def press(self, **fields: str) -> None:
        """See Visitor."""
        form = next(form for form in self._forms() if form.takes(fields))
        self._go(self.client.post(form.action, data=form.filled(fields), follow_redirects=True))

    def download(self, action: str) -> bytes:
        """See Visitor."""
        form = next(form for form in self._forms() if action in form.action)
        answer = self.client.post(form.action, data=form.sent)
        assert answer.status_code == 200, answer.text
        return bytes(answer.data)

    def _forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.text)
        return parser.found

    def _go(self, answer: object) -> None:
        assert answer.status_code == 200, answer.text  # type: ignore[attr-defined]
        self.text = answer.text  # type: ignore[attr-defined]
        self.path = answer.request.path  # type: ignore[attr-defined]
