"""From the text of a catalogue file to a `Catalogue`, or to every fault in it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping

from preference_center.domain import addresses
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue.branding import read_colours, read_logo
from preference_center.domain.catalogue.deliverability import read_deliverability
from preference_center.domain.catalogue.model import (
    AfterClosing,
    Brand,
    Catalogue,
    Default,
    Gpc,
    Ground,
    Group,
    MessageClass,
    MessageType,
    Policy,
    Topic,
    Unproven,
)
from preference_center.domain.catalogue.reader import Faults, Table, quoted
from preference_center.domain.catalogue.toml_lines import locate, syntax_faults
from preference_center.domain.events import RESERVED_SCOPES
from preference_center.errors import CatalogueError, InvalidAddress

_FILE = (
    "languages", "default_language", "groups", "brands", "topics", "message_types", "policy",
    "deliverability",
)  # fmt: skip
_BRAND = ("name", "host", "sender", "footer", "logo", "colours")
_TOPIC = ("brand", "channel", "default", "group", "title", "description", "retired")
_MESSAGE_TYPE = ("class", "title", "topic", "ground", "after_closing", "after_closing_ground")

_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # BCP 47, the common part
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")


def digest(text: str) -> str:
    """The SHA-256 of a catalogue's source, in hex: it names a version."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str) -> Catalogue:
    """Read a catalogue.

    Raises CatalogueError whose `problems` are all faults in the order of the file, each
    as "line N: what is wrong; remedy". Of a text that is not TOML they are the syntax
    faults: nothing more can be known before those are mended.
    """
    if faults := syntax_faults(text):
        raise CatalogueError(
            [f"line {line}: {what}; {_syntax_remedy(what)}" for line, what in faults]
        )
    return _Reader(tomllib.loads(text), Faults(locate(text))).catalogue()


def _syntax_remedy(what: str) -> str:
    if "twice" in what or "overwrite" in what:
        return "each key and each [table] stands once: delete or rename one"
    if "nclosed" in what or "nterminated" in what:
        return "close what this line or one above it opens"
    return "write key = value, text in double quotes, one to a line (see https://toml.io)"


class _Reader:
    """Reads part by part.

    Where a value is missing or faulty it puts a stand-in, which nobody gets to see:
    `catalogue` raises in the end.
    """

    def __init__(self, raw: object, faults: Faults) -> None:
        self._faults = faults
        self._file = Table((), raw, _FILE, faults)
        self._languages = self._read_languages()

    def catalogue(self) -> Catalogue:
        catalogue = Catalogue(
            languages=self._languages,
            default_language=self._default_language(),
            groups=self._groups(),
            brands=self._brands(),
            topics=self._topics(),
            message_types=self._message_types(),
            policy=self._policy(),
            deliverability=read_deliverability(self._file),
        )
        self._faults.check()
        return catalogue

    def _read_languages(self) -> tuple[str, ...]:
        """The declared languages; none after a fault, so that texts go unchecked."""
        example = '["it", "en"]'
        found = self._file.value("languages", list, example, required=True)
        if found is None:
            return ()
        wrong = [tag for tag in found if not (isinstance(tag, str) and _LANGUAGE.fullmatch(tag))]
        for tag in wrong:
            what = f"languages has {quoted(str(tag))}, which is no language tag"
            self._file.fault(what, 'write tags such as "it", "en" or "pt-BR"', "languages")
        if not found:
            self._file.fault("languages is empty", f"write languages = {example}", "languages")
        elif not wrong and len(set(found)) < len(found):
            self._file.fault("languages has a tag twice", "delete one", "languages")
        return () if wrong else tuple(dict.fromkeys(found))

    def _default_language(self) -> str:
        example = next(iter(self._languages), "it")
        found = self._file.text("default_language", example, required=True)
        if found and self._languages and found not in self._languages:
            what = f"default_language {quoted(found)} is not among the languages"
            remedy = f"choose one of {', '.join(self._languages)}, or add it to languages"
            self._file.fault(what, remedy, "default_language")
        return found or ""

    def _policy(self) -> Policy:
        table = self._file.below("policy", ("gpc", "unproven_imports"))
        if table is None:
            return Policy()
        return Policy(
            gpc=table.choice("gpc", Gpc) or Gpc.OFFER,
            unproven_imports=table.choice("unproven_imports", Unproven) or Unproven.REFUSE,
        )

    def _groups(self) -> Mapping[str, Group]:
        return {
            key: Group(key, table.texts("title", self._languages, required=True))
            for key, table in self._entries("groups", ("title",))
        }

    def _brands(self) -> Mapping[str, Brand]:
        brands: dict[str, Brand] = {}
        for key, table in self._entries("brands", _BRAND):
            host = _host(table)
            owner = next((b.key for b in brands.values() if host and b.host == host), None)
            if owner:
                what = f"host is that of brand {quoted(owner)} already"
                table.fault(what, "give each brand a host of its own", "host")
            brands[key] = Brand(
                key=key,
                name=table.texts("name", self._languages, required=True, plain=True),
                host=host,
                sender=_sender(table),
                footer=table.texts("footer", self._languages),
                logo=read_logo(table),
                colours=read_colours(table),
            )
        return brands

    def _topics(self) -> Mapping[str, Topic]:
        return {key: self._topic(key, table) for key, table in self._entries("topics", _TOPIC)}

    def _topic(self, key: str, table: Table) -> Topic:
        if key in RESERVED_SCOPES:
            remedy = "give the topic another key"
            table.fault(f"{quoted(key)} means more than a topic in the ledger", remedy)
        brands, groups = self._file.keys("brands"), self._file.keys("groups")
        return Topic(
            key=key,
            brand=table.reference("brand", "brands", brands, required=True) or "",
            channel=table.choice("channel", Channel, required=True) or Channel.EMAIL,
            default=table.choice("default", Default, required=True) or Default.OPT_IN,
            group=table.reference("group", "groups", groups, required=True) or "",
            title=table.texts("title", self._languages, required=True),
            description=table.texts("description", self._languages, required=True),
            retired=table.flag("retired"),
        )

    def _message_types(self) -> Mapping[str, MessageType]:
        return {
            key: self._message_type(key, table)
            for key, table in self._entries("message_types", _MESSAGE_TYPE)
        }

    def _message_type(self, key: str, table: Table) -> MessageType:
        message_class = table.choice("class", MessageClass, required=True)
        is_marketing = message_class is MessageClass.MARKETING
        is_service = message_class is MessageClass.SERVICE
        after_closing = table.flag("after_closing")
        _check_class(table, message_class, after_closing=after_closing)
        topics = self._file.keys("topics")
        return MessageType(
            key=key,
            message_class=message_class or MessageClass.MARKETING,
            topic=(
                None
                if is_service
                else table.reference("topic", "topics", topics, required=is_marketing)
            ),
            ground=table.choice("ground", Ground, required=is_service),
            after_closing=after_closing,
            after_closing_ground=table.choice(
                "after_closing_ground", AfterClosing, required=after_closing and not is_marketing
            ),
            title=table.texts("title", self._languages),
        )

    def _entries(self, kind: str, fields: Collection[str]) -> Iterator[tuple[str, Table]]:
        for key, table in self._file.entries(kind, fields):
            if not _KEY.fullmatch(key):
                what = f"{quoted(key)} is no good key"
                remedy = "use 1 to 64 of a-z 0-9 _ . - and begin with a letter"
                table.fault(what, remedy)
            yield key, table


def _check_class(table: Table, message_class: MessageClass | None, *, after_closing: bool) -> None:
    """Fault what a message type of this class can't have (I4)."""
    if message_class is MessageClass.MARKETING:
        for field in ("ground", "after_closing", "after_closing_ground"):
            if field in table:
                remedy = f'delete {field}, or make it class = "service"'
                table.fault(f"only service mail has {field}", remedy, field)
    elif "after_closing_ground" in table and not after_closing:
        remedy = "add after_closing = true, or delete it"
        table.fault("after_closing_ground without after_closing", remedy, "after_closing_ground")
    if message_class is MessageClass.SERVICE and "topic" in table:
        remedy = 'delete topic, or make it class = "marketing"'
        table.fault("service mail has no topic: nobody can opt out of it", remedy, "topic")


def _host(table: Table) -> str | None:
    host = table.text("host", "preferences.example.com")
    if host is None or _HOST.fullmatch(host):
        return host
    remedy = "write only the name, in small letters, without https:// or port"
    table.fault(f"host {quoted(host)} is no host name", remedy, "host")
    return None


def _sender(table: Table) -> str | None:
    sender = table.text("sender", "Example <news@example.com>")
    try:
        addresses.parse(sender or "nobody@example.com", Channel.EMAIL)
    except InvalidAddress:
        pass
    else:
        return sender
    remedy = 'write sender = "Example <news@example.com>"'
    table.fault("sender is no address to send from", remedy, "sender")
    return None
