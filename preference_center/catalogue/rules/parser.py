"""The parser makes a `Catalogue` from the text of a file, or reports every fault in that text."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from preference_center.catalogue.rules.brand import (
    parse_colours,
    parse_font,
    parse_logo,
    parse_picture,
    parse_radius,
)
from preference_center.catalogue.rules.deliverability import parse_deliverability
from preference_center.catalogue.rules.model import (
    AfterClosingGround,
    Brand,
    Catalogue,
    CataloguePolicy,
    LegalBasis,
    MessageClass,
    MessageType,
    PolicyVersion,
    ServiceGround,
    Topic,
    TopicDefault,
    TopicGroup,
    UnprovenImportPolicy,
    consent_cutoffs,
    parse_policy_versions,
)
from preference_center.catalogue.rules.privacy import (
    parse_controller,
    parse_recipients,
    parse_retention,
    parse_rights,
)
from preference_center.catalogue.rules.reader import (
    HOST_NAME,
    MAX_TEXT_BYTES,
    ErrorCollector,
    TomlTable,
    find_syntax_errors,
    is_too_long,
    locate_keys,
    parse_frame_origins,
    parse_frequencies,
)
from preference_center.catalogue.rules.sites import parse_sites
from preference_center.catalogue.rules.wording import (
    parse_contact,
    parse_email,
    parse_sender,
    parse_urls,
    parse_wording,
)
from preference_center.core.addresses import Channel
from preference_center.core.errors import CatalogueError, quote_toml
from preference_center.core.events import RESERVED_SCOPES

BRAND_FIELDS = (
    "name", "host", "sender", "footer", "contact", "privacy_contact", "privacy_notice",
    "closing_url", "fallback_language", "address", "texts", "colours", "logo", "favicon",
    "illustration", "font", "radius", "frame_origins",
)  # fmt: skip


_HOST = re.compile(rf"(?=.{{1,253}}\Z){HOST_NAME}")


def parse_brand(
    key: str, table: TomlTable, languages: Collection[str], known_texts: Collection[str] | None
) -> Brand:
    """The brand in `[brands.<key>]`; `languages` and `known_texts` as in `parse_catalogue`."""
    return Brand(
        key=key,
        name=table.get_localized_text("name", languages, required=True, allow_plain=True),
        host=_parse_host(table),
        sender=parse_sender(table),
        footer=table.get_localized_text("footer", languages),
        logo=parse_logo(table),
        favicon=parse_picture(table, "favicon"),
        illustration=parse_picture(table, "illustration"),
        font=parse_font(table),
        radius=parse_radius(table),
        colours=parse_colours(table),
        frame_origins=parse_frame_origins(table),
        wording=parse_wording(table, known_texts),
        contact=parse_contact(table, languages),
        privacy_contact=parse_email(table, "privacy_contact"),
        privacy_notice=parse_urls(table, "privacy_notice", languages),
        closing_url=parse_urls(table, "closing_url", languages),
    )


def _parse_host(table: TomlTable) -> str | None:
    host = table.get_text("host", "preferences.example.com")
    if host is None or _HOST.fullmatch(host):
        return host
    remedy = "write only the name, in small letters, without https:// or port"
    table.add_error(f"host {quote_toml(host)} is no host name", remedy, "host")
    return None


_FILE_FIELDS = (
    "languages", "default_language", "groups", "brands", "topics", "message_types", "policy",
    "deliverability", "controller", "rights", "minors", "retention", "destinations", "sites",
    "policies",
)  # fmt: skip


_TOPIC_FIELDS = (
    "brand", "channel", "default", "group", "title", "description", "retired", "purpose",
    "legal_basis", "frequencies", "default_frequency",
)  # fmt: skip


_MESSAGE_TYPE_FIELDS = (
    "class",
    "title",
    "topic",
    "ground",
    "after_closing",
    "after_closing_ground",
)


_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # BCP 47, the common part


def catalogue_digest(text: str) -> str:
    """The SHA-256 of a catalogue's source, in hex: it names a version."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_catalogue(text: str, known_texts: Collection[str] | None = None) -> Catalogue:
    """Read a catalogue.

    `known_texts` are our texts that a brand may replace. Without them any key is accepted: a
    catalogue in force stays valid when a new version of the service has rephrased a text.

    Raises CatalogueError whose `problems` are all errors in the order of the file, each
    as "line N: what is wrong; remedy". If the text is not TOML they are its syntax errors:
    nothing else can be checked before those are fixed. A new text, one with `known_texts`, that
    is longer than MAX_TEXT_BYTES is not read at all.
    """
    if known_texts is not None and is_too_long(text):
        size = f"the catalogue has more than {MAX_TEXT_BYTES // 1024} KB without its files"
        raise CatalogueError([f"line 1: {size}; leave out what is not used any more"])
    if faults := find_syntax_errors(text):
        raise CatalogueError(
            [f"line {line}: {what}; {_syntax_remedy(what)}" for line, what in faults]
        )
    errors = ErrorCollector(locate_keys(text))
    return _CatalogueParser(tomllib.loads(text), errors, known_texts).parse()


def _syntax_remedy(problem: str) -> str:
    if "parts" in problem:
        return "write tables inside each other at most that deep, and a name with dots in quotes"
    if "twice" in problem or "overwrite" in problem:
        return "each key and each [table] stands once: delete or rename one"
    if "nclosed" in problem or "nterminated" in problem:
        return "close what this line or one above it opens"
    return "write key = value, text in double quotes, one to a line (see https://toml.io)"


class _CatalogueParser:
    """Reads part by part.

    Where a value is missing or faulty it puts a stand-in, which nobody gets to see:
    `catalogue` raises in the end.
    """

    def __init__(
        self, raw: object, errors: ErrorCollector, known_texts: Collection[str] | None
    ) -> None:
        self._errors = errors
        self._known_texts = known_texts
        self._file = TomlTable((), raw, _FILE_FIELDS, errors)
        self._languages = self._parse_languages()

    def parse(self) -> Catalogue:
        catalogue = Catalogue(
            languages=self._languages,
            default_language=self._parse_default_language(),
            groups=self._parse_groups(),
            brands=self._parse_brands(),
            topics=self._parse_topics(),
            message_types=self._parse_message_types(),
            policy=self._parse_policy(),
            deliverability=parse_deliverability(self._file),
            controller=parse_controller(self._file, self._languages),
            rights=parse_rights(self._file),
            retention=parse_retention(self._file, self._languages),
            recipients=parse_recipients(self._file, self._languages),
            sites=parse_sites(self._file, self._languages),
        )
        versions = self._parse_policy_versions(catalogue)
        self._errors.raise_if_any()
        cutoffs = consent_cutoffs(versions)
        return replace(
            catalogue,
            policy_versions=versions,
            topics={
                key: replace(topic, consent_cutoffs=cutoffs)
                for key, topic in catalogue.topics.items()
            },
        )

    def _parse_policy_versions(self, catalogue: Catalogue) -> tuple[PolicyVersion, ...]:
        timezone = catalogue.controller.timezone if catalogue.controller else "UTC"
        service = [
            key
            for key, each in catalogue.message_types.items()
            if each.message_class is MessageClass.SERVICE
        ]
        return parse_policy_versions(self._file, self._languages, timezone, service)

    def _parse_languages(self) -> tuple[str, ...]:
        """The declared languages; none after a fault, so that texts go unchecked."""
        example = '["it", "en"]'
        found = self._file.get_value("languages", list, example, required=True)
        if found is None:
            return ()
        wrong = [tag for tag in found if not (isinstance(tag, str) and _LANGUAGE.fullmatch(tag))]
        for tag in wrong:
            what = f"languages has {quote_toml(str(tag))}, which is no language tag"
            self._file.add_error(what, 'write tags such as "it", "en" or "pt-BR"', "languages")
        if not found:
            self._file.add_error("languages is empty", f"write languages = {example}", "languages")
        elif not wrong and len(set(found)) < len(found):
            self._file.add_error("languages has a tag twice", "delete one", "languages")
        return () if wrong else tuple(dict.fromkeys(found))

    def _parse_default_language(self) -> str:
        example = next(iter(self._languages), "it")
        found = self._file.get_text("default_language", example, required=True)
        if found and self._languages and found not in self._languages:
            what = f"default_language {quote_toml(found)} is not among the languages"
            remedy = f"choose one of {', '.join(self._languages)}, or add it to languages"
            self._file.add_error(what, remedy, "default_language")
        return found or ""

    def _parse_policy(self) -> CataloguePolicy:
        table = self._file.subtable("policy", ("unproven_imports",))
        if table is None:
            return CataloguePolicy()
        return CataloguePolicy(
            unproven_imports=table.get_choice("unproven_imports", UnprovenImportPolicy)
            or UnprovenImportPolicy.REFUSE,
        )

    def _parse_groups(self) -> Mapping[str, TopicGroup]:
        return {
            key: TopicGroup(key, table.get_localized_text("title", self._languages, required=True))
            for key, table in self._keyed_tables("groups", ("title",))
        }

    def _parse_brands(self) -> Mapping[str, Brand]:
        brands: dict[str, Brand] = {}
        for key, table in self._keyed_tables("brands", BRAND_FIELDS):
            brand = parse_brand(key, table, self._languages, self._known_texts)
            owner = next(
                (b.key for b in brands.values() if brand.host and b.host == brand.host), ""
            )
            if owner:
                what = f"host is that of brand {quote_toml(owner)} already"
                table.add_error(what, "give each brand a host of its own", "host")
            brands[key] = brand
        return brands

    def _parse_topics(self) -> Mapping[str, Topic]:
        return {
            key: self._parse_topic(key, table)
            for key, table in self._keyed_tables("topics", _TOPIC_FIELDS)
        }

    def _parse_topic(self, key: str, table: TomlTable) -> Topic:
        if key in RESERVED_SCOPES:
            remedy = "give the topic another key"
            table.add_error(f"{quote_toml(key)} means more than a topic in the ledger", remedy)
        brands, groups = self._file.subtable_keys("brands"), self._file.subtable_keys("groups")
        frequencies, default_frequency = parse_frequencies(table, self._languages)
        return Topic(
            key=key,
            brand=table.get_reference("brand", "brands", brands, required=True) or "",
            channel=table.get_choice("channel", Channel, required=True) or Channel.EMAIL,
            default=table.get_choice("default", TopicDefault, required=True) or TopicDefault.OPT_IN,
            group=table.get_reference("group", "groups", groups, required=True) or "",
            title=table.get_localized_text("title", self._languages, required=True),
            description=table.get_localized_text("description", self._languages, required=True),
            retired=table.get_bool("retired"),
            purpose=table.get_localized_text("purpose", self._languages),
            legal_basis=table.get_choice("legal_basis", LegalBasis),
            frequencies=frequencies,
            default_frequency=default_frequency,
        )

    def _parse_message_types(self) -> Mapping[str, MessageType]:
        return {
            key: self._parse_message_type(key, table)
            for key, table in self._keyed_tables("message_types", _MESSAGE_TYPE_FIELDS)
        }

    def _parse_message_type(self, key: str, table: TomlTable) -> MessageType:
        message_class = table.get_choice("class", MessageClass, required=True)
        is_marketing = message_class is MessageClass.MARKETING
        is_service = message_class is MessageClass.SERVICE
        after_closing = table.get_bool("after_closing")
        _check_class(table, message_class, after_closing=after_closing)
        topics = self._file.subtable_keys("topics")
        return MessageType(
            key=key,
            message_class=message_class or MessageClass.MARKETING,
            topic=(
                None
                if is_service
                else table.get_reference("topic", "topics", topics, required=is_marketing)
            ),
            ground=table.get_choice("ground", ServiceGround, required=is_service),
            after_closing=after_closing,
            after_closing_ground=table.get_choice(
                "after_closing_ground",
                AfterClosingGround,
                required=after_closing and not is_marketing,
            ),
            title=table.get_localized_text("title", self._languages),
        )

    def _keyed_tables(self, kind: str, fields: Collection[str]) -> Iterator[tuple[str, TomlTable]]:
        for key, table in self._file.subtables(kind, fields):
            if not _KEY.fullmatch(key):
                what = f"{quote_toml(key)} is no good key"
                remedy = "use 1 to 64 of a-z 0-9 _ . - and begin with a letter"
                table.add_error(what, remedy)
            yield key, table


def _check_class(
    table: TomlTable, message_class: MessageClass | None, *, after_closing: bool
) -> None:
    """Fault what a message type of this class can't have (I4)."""
    if message_class is MessageClass.MARKETING:
        for field in ("ground", "after_closing", "after_closing_ground"):
            if field in table:
                remedy = f'delete {field}, or make it class = "service"'
                table.add_error(f"only service mail has {field}", remedy, field)
    elif "after_closing_ground" in table and not after_closing:
        remedy = "add after_closing = true, or delete it"
        table.add_error(
            "after_closing_ground without after_closing", remedy, "after_closing_ground"
        )
    if message_class is MessageClass.SERVICE and "topic" in table:
        remedy = 'delete topic, or make it class = "marketing"'
        table.add_error("service mail has no topic: nobody can opt out of it", remedy, "topic")
