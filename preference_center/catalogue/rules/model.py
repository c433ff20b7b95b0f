"""These classes hold the content of a catalogue; `parse_catalogue` makes and validates them.

A `PolicyVersion` is a version of the company's privacy policy, with the time from which it is in
force. `rights_offered` states whether people can use their rights on our own pages.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from preference_center.catalogue.rules.brand import BrandColours, BrandFile, BrandFont, BrandLogo
from preference_center.catalogue.rules.privacy import (
    Controller,
    Recipient,
    RetainedData,
    RetentionRule,
    RightsPolicy,
)
from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.catalogue.rules.sites import Site
from preference_center.catalogue.rules.wording import (
    CompanyContact,
    ContactDetails,
    Wording,
    check_url,
)
from preference_center.core import bounces as deliverability
from preference_center.core.addresses import Channel
from preference_center.core.errors import (
    InvalidInput,
    UnknownMessageType,
    UnknownPolicyVersion,
    UnknownTopic,
    did_you_mean,
    quote_toml,
)

PRIVACY = "privacy"
"""The policy whose versions `[policies.privacy]` declares."""


NOTICE_PERIOD = timedelta(days=30)
"""How long pages announce a new version before it comes into force, and how long after."""


_FIELDS = (
    "effective",
    "material",
    "url",
    "sha256",
    "summary",
    "reconsent",
    "ask_from",
    "message_type",
)


_VERSION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")


_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of the privacy policy. `url` and `sha256` are those of its text."""

    version: str
    effective: date
    effective_at: datetime
    """When that day begins where the company is, in UTC."""
    material: bool = False
    """Whether the law asks to inform people before it is in force (GDPR art. 13(3))."""
    url: LocalizedText = field(default_factory=dict)
    sha256: LocalizedText = field(default_factory=dict)
    """Of the text in each language, in hex."""
    summary: LocalizedText = field(default_factory=dict)
    """What changes, in a sentence."""
    reconsent: bool = False
    """Whether older consents no longer count once it is in force: those before `asked_at`."""
    ask_from: date | None = None
    """The day from which every consent is asked for with this version; None: `effective`."""
    asked_at: datetime = datetime(9999, 1, 1, tzinfo=UTC)
    """When that day begins, in UTC."""
    message_type: str | None = None
    """Key of the service message by which people are informed of it."""

    @property
    def reference(self) -> str:
        """What evidence names it by, such as `privacy/2027-01`."""
        return f"{PRIVACY}/{self.version}"

    def is_noticed(self, at: datetime) -> bool:
        """Whether pages announce it at `at`."""
        return -NOTICE_PERIOD <= at - self.effective_at < NOTICE_PERIOD

    def is_in_force(self, at: datetime) -> bool:
        """Whether its day has begun at `at`; a newer one may be in force instead."""
        return self.effective_at <= at


def version_in_force(versions: Sequence[PolicyVersion], at: datetime) -> PolicyVersion | None:
    """The version in force at `at`; `versions` are ordered by when they come into force."""
    return next((each for each in reversed(versions) if each.effective_at <= at), None)


@dataclass(frozen=True, slots=True)
class ConsentCutoff:
    """When a version of the privacy policy ends older consents.

    From `at` on (UTC), no consent from before `asked_at` (UTC) counts; people can agree to the
    version from `asked_at` on. `day` and `asked_from` are those days where the company is.
    """

    at: datetime
    asked_at: datetime
    day: date
    asked_from: date


def consent_cutoffs(versions: Sequence[PolicyVersion]) -> tuple[ConsentCutoff, ...]:
    """The cutoffs of the versions that ask again, in order."""
    return tuple(
        ConsentCutoff(
            each.effective_at, each.asked_at, each.effective, each.ask_from or each.effective
        )
        for each in versions
        if each.reconsent
    )


def version_asked_for(versions: Sequence[PolicyVersion], at: datetime) -> PolicyVersion | None:
    """The version that a consent is asked for with at `at`: a coming one that asks already."""
    asked = (each for each in reversed(versions) if each.reconsent and each.asked_at <= at)
    coming = next((each for each in asked if not each.is_in_force(at)), None)
    return coming or version_in_force(versions, at)


def parse_policy_versions(
    file: TomlTable, languages: Collection[str], timezone: str, service_types: Collection[str]
) -> tuple[PolicyVersion, ...]:
    """`[policies.privacy.<version>]`, from the oldest to the newest.

    A day begins in `timezone`; `service_types` are the keys of the service messages.
    """
    policies = file.subtable("policies", (PRIVACY,))
    if policies is None:
        return ()
    found: list[PolicyVersion] = []
    for key, table in policies.subtables(PRIVACY, _FIELDS):
        version = _parse_version(key, table, languages, timezone, service_types)
        if found and version.effective <= found[-1].effective != date.min != version.effective:
            table.add_error(
                f"effective {version.effective} is not after {found[-1].effective}, the day of"
                f" version {quote_toml(found[-1].version)} above",
                "order the versions from the oldest to the newest, each with a day of its own",
                "effective",
            )
        found.append(version)
    return tuple(found)


def _parse_version(
    key: str,
    table: TomlTable,
    languages: Collection[str],
    timezone: str,
    service_types: Collection[str],
) -> PolicyVersion:
    if not _VERSION.fullmatch(key):
        table.add_error(
            f"{quote_toml(key)} is no good version",
            "use 1 to 32 of a-z 0-9 _ . - and begin with a letter or digit",
        )
    effective = table.get_date("effective", required=True) or date.min
    ask_from = _parse_ask_from(table, effective)
    return PolicyVersion(
        version=key,
        effective=effective,
        effective_at=_begin_of_day(effective, timezone),
        material=table.get_bool("material"),
        url=_parse_urls(table, languages),
        sha256=_parse_sha256(table, languages),
        summary=table.get_localized_text("summary", languages, required=True),
        reconsent=table.get_bool("reconsent"),
        ask_from=ask_from,
        asked_at=_begin_of_day(ask_from or effective, timezone),
        message_type=table.get_reference(
            "message_type", "message_types", service_types, required=False
        ),
    )


def _parse_ask_from(table: TomlTable, effective: date) -> date | None:
    ask_from = table.get_date("ask_from")
    if ask_from is None or effective == date.min:
        return ask_from
    if not table.get_bool("reconsent"):
        table.add_error(
            "ask_from has no effect here: consents from before count on",
            "set reconsent = true, or remove ask_from",
            "ask_from",
        )
    elif not effective - NOTICE_PERIOD <= ask_from <= effective:
        table.add_error(
            f"ask_from {ask_from} is not in the {NOTICE_PERIOD.days} days before {effective}, in"
            " which pages announce this version",
            f"choose a day from {effective - NOTICE_PERIOD} to {effective}",
            "ask_from",
        )
    return ask_from


def _begin_of_day(day: date, timezone: str) -> datetime:
    if day == date.min:  # it was faulty
        return datetime.min.replace(tzinfo=UTC)
    begin = datetime.combine(day, time(), zoneinfo.ZoneInfo(timezone))
    return begin.astimezone(UTC)


def _parse_urls(table: TomlTable, languages: Collection[str]) -> LocalizedText:
    urls = table.get_localized_text("url", languages, required=True, allow_plain=True)
    for url in dict.fromkeys(urls.values()):
        check_url(table, "url", url)
    return urls


def _parse_sha256(table: TomlTable, languages: Collection[str]) -> Mapping[str, str]:
    digests = table.get_localized_text("sha256", languages, required=True, allow_plain=True)
    for digest in dict.fromkeys(digests.values()):
        if not _SHA256.fullmatch(digest):
            table.add_error(
                f"sha256 {quote_toml(digest)} is no SHA-256",
                "write the 64 hexadecimal digits, in lower case, that sha256sum prints",
                "sha256",
            )
    return digests


class TopicDefault(StrEnum):
    """What applies to a person who has made no choice about a topic."""

    OPT_IN = "opt_in"
    """Nothing is sent without a consent (I11)."""
    OPT_OUT = "opt_out"
    """Sent until the person opts out."""


class LegalBasis(StrEnum):
    """What allows marketing of a topic (GDPR art. 6(1), ePrivacy directive art. 13)."""

    CONSENT = "consent"
    LEGITIMATE_INTEREST = "legitimate_interest"
    EXISTING_CUSTOMER = "existing_customer"
    """The soft opt-in: similar products, addresses obtained in a sale (art. 13(2))."""


class MessageClass(StrEnum):
    """Whether an opt-out of marketing stops it (I4)."""

    MARKETING = "marketing"
    SERVICE = "service"


class ServiceGround(StrEnum):
    """Why a service message is no marketing; the preference page shows it."""

    SECURITY = "security"
    BILLING = "billing"
    LEGAL_NOTICE = "legal_notice"
    ACCOUNT = "account"
    TRANSACTION = "transaction"


class AfterClosingGround(StrEnum):
    """Why a service message may go out even after the account is closed (I4)."""

    JUST_REQUESTED = "just_requested"
    FINAL_INVOICE = "final_invoice"
    LEGAL_NOTICE = "legal_notice"


class UnprovenImportPolicy(StrEnum):
    """What is done about an imported subscription without evidence (docs/imports.md)."""

    REFUSE = "refuse"
    """The row is refused, with the reason."""
    FLAG = "flag"
    """It counts, and its evidence is `unproven` for ever."""


@dataclass(frozen=True, slots=True)
class CataloguePolicy:
    """What the company has decided where the law or this service leaves a choice."""

    unproven_imports: UnprovenImportPolicy = UnprovenImportPolicy.REFUSE


@dataclass(frozen=True, slots=True)
class Brand:
    """A name under which the company writes.

    `host` serves its pages, `sender` is the From address it uses, `footer` the legal
    line. A text that is there is there in every language. `colours` are for `light` and
    `dark` pages: both or none. `radius` is how round corners are, in CSS pixels;
    `illustration` decorates pages of success.
    """

    key: str
    name: LocalizedText
    host: str | None = None
    sender: str | None = None
    footer: LocalizedText = field(default_factory=dict)
    logo: BrandLogo | None = None
    favicon: BrandFile | None = None
    illustration: BrandFile | None = None
    font: BrandFont | None = None
    radius: int | None = None
    colours: Mapping[str, BrandColours] = field(default_factory=dict)
    frame_origins: tuple[str, ...] = ()
    """Origins whose pages may show its preference pages in a frame."""
    wording: Wording = field(default_factory=Wording)
    contact: CompanyContact | None = None
    privacy_contact: str | None = None
    privacy_notice: LocalizedText = field(default_factory=dict)
    closing_url: LocalizedText = field(default_factory=dict)
    """These four as in `ContactDetails`; `Catalogue.contact_details` fills in the company's."""

    @property
    def files(self) -> Mapping[str, BrandFile]:
        """What pages load, by the name in its URL."""
        files = {
            "logo": self.logo and self.logo.light,
            "logo-dark": self.logo and self.logo.dark,
            "favicon": self.favicon,
            "illustration": self.illustration,
            "font.woff2": self.font and self.font.file,
        }
        return {name: file for name, file in files.items() if file}


@dataclass(frozen=True, slots=True)
class TopicGroup:
    """A heading of the preference page, that groups topics."""

    key: str
    title: LocalizedText


@dataclass(frozen=True, slots=True)
class Topic:
    """Something one can subscribe to on one channel.

    A retired topic is neither offered nor sent, but its suppressions stay. `purpose` and
    `legal_basis` are what people are informed of (GDPR art. 13(1)(c)); empty where not stated.
    `frequencies` are how often it can be had, key -> title, from most to least often; empty where
    there is no choice, and so is `default_frequency` then.
    """

    key: str
    brand: str
    channel: Channel
    default: TopicDefault
    group: str
    title: LocalizedText
    description: LocalizedText
    retired: bool = False
    purpose: LocalizedText = field(default_factory=dict)
    legal_basis: LegalBasis | None = None
    frequencies: Mapping[str, LocalizedText] = field(default_factory=dict)
    default_frequency: str = ""
    consent_cutoffs: tuple[ConsentCutoff, ...] = field(default=(), compare=False)
    """The cutoffs of the versions of the privacy policy that ask again, in order."""

    def consents_count_from(self, now: datetime) -> datetime | None:
        """The time before which no consent counts at `now`; None if all do."""
        cutoffs = self.consent_cutoffs
        if not cutoffs:
            return None
        return max((each.asked_at for each in cutoffs if each.at <= now), default=None)


@dataclass(frozen=True, slots=True)
class MessageType:
    """What a sender is about to send.

    Marketing has a topic and no ground; service a ground and no topic. With
    `after_closing` it may go out even when the account is closed, on
    `after_closing_ground` (I4); only service can. `title` is what people read of it.
    """

    key: str
    message_class: MessageClass
    topic: str | None = None
    ground: ServiceGround | None = None
    after_closing: bool = False
    after_closing_ground: AfterClosingGround | None = None
    title: LocalizedText = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One version of the catalogue. Mappings go by key, in the order of the file."""

    languages: tuple[str, ...]
    default_language: str
    groups: Mapping[str, TopicGroup] = field(default_factory=dict)
    brands: Mapping[str, Brand] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    message_types: Mapping[str, MessageType] = field(default_factory=dict)
    policy: CataloguePolicy = CataloguePolicy()
    deliverability: deliverability.DeliverabilityPolicy = field(
        default_factory=deliverability.DeliverabilityPolicy
    )
    controller: Controller | None = None
    rights: RightsPolicy = field(default_factory=RightsPolicy)
    retention: Mapping[RetainedData, RetentionRule] = field(default_factory=dict)
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    """The destinations as people read of them, by name."""
    sites: Mapping[str, Site] = field(default_factory=dict)
    """The websites that use the consent tool."""
    policy_versions: tuple[PolicyVersion, ...] = ()
    """Of the privacy policy, from the oldest to the newest."""

    def topic(self, key: str) -> Topic:
        """The topic of this key, retired or not. Raises UnknownTopic."""
        try:
            return self.topics[key]
        except KeyError:
            raise UnknownTopic(_unknown_key_message("topic", key, self.topics)) from None

    def message_type(self, key: str) -> MessageType:
        """The message type of this key. Raises UnknownMessageType."""
        try:
            return self.message_types[key]
        except KeyError:
            raise UnknownMessageType(
                _unknown_key_message("message type", key, self.message_types)
            ) from None

    def brand(self, key: str) -> Brand:
        """The brand with this key. Raises InvalidInput."""
        if key not in self.brands:
            raise InvalidInput(_unknown_key_message("brand", key, self.brands))
        return self.brands[key]

    def service_message(self, key: str) -> MessageType:
        """The service message with this key.

        Raises UnknownMessageType, InvalidInput for one of marketing.
        """
        found = self.message_type(key)
        if found.message_class is not MessageClass.SERVICE:
            raise InvalidInput(f"{key} is marketing: name a service message")
        return found

    def policy_version(self, version: str) -> PolicyVersion:
        """The version of the privacy policy with this key. Raises UnknownPolicyVersion."""
        by_key = {each.version: each for each in self.policy_versions}
        if version not in by_key:
            raise UnknownPolicyVersion(
                _unknown_key_message("version of the privacy policy", version, by_key)
            )
        return by_key[version]

    def policy_in_force(self, at: datetime) -> PolicyVersion | None:
        """The version of the privacy policy that is in force at `at`, if the file has one."""
        return version_in_force(self.policy_versions, at)

    def policy_asked_for(self, at: datetime) -> PolicyVersion | None:
        """The version that a consent of `at` is asked for with, see `version_asked_for`."""
        return version_asked_for(self.policy_versions, at)

    def policy_notice(self, at: datetime) -> PolicyVersion | None:
        """The newest version that pages announce at `at`: around when it comes into force."""
        return next((v for v in reversed(self.policy_versions) if v.is_noticed(at)), None)

    def host_for_scope(self, scope: str) -> str | None:
        """The host of the pages about `scope`: that of its topic's brand, if it has one."""
        topic = self.topics.get(scope)
        brand = self.brands.get(topic.brand) if topic else None
        return brand.host if brand else None

    def contact_details(self, brand: Brand | None) -> ContactDetails:
        """How to reach the brand; the company's own fills in what the brand has not.

        With None, those of the company.
        """
        of_company = ContactDetails()
        if company := self.controller:
            of_company = ContactDetails(
                company.contact, company.privacy_contact, company.privacy_notice
            )
        if brand is None:
            return of_company
        return ContactDetails(
            contact=brand.contact or of_company.contact,
            privacy_contact=brand.privacy_contact or of_company.privacy_contact,
            privacy_notice=brand.privacy_notice or of_company.privacy_notice,
            closing_url=brand.closing_url,
        )

    def always_on(self, *, closed: bool) -> tuple[MessageType, ...]:
        """The service messages that nobody can turn off; of a closed account what remains (I4)."""
        return tuple(
            each
            for each in self.message_types.values()
            if each.message_class is MessageClass.SERVICE and (each.after_closing or not closed)
        )

    def topics_for_channel(self, channel: Channel) -> tuple[Topic, ...]:
        """The topics a person can choose on this channel: all but the retired ones."""
        return tuple(t for t in self.topics.values() if t.channel is channel and not t.retired)

    def localize(self, texts: LocalizedText, language: str) -> str:
        """The text in `language`, or in the default language if that is not declared.

        Empty if there is no text at all, as for a brand without footer.
        """
        return texts.get(language) or texts.get(self.default_language, "")


MAX_LISTED = 12
"""Keys that a message lists where one is unknown."""


def _unknown_key_message(kind: str, key: str, known: Mapping[str, object]) -> str:
    # Not the key itself: a caller may have put an address there (I12).
    return f"the catalogue has no such {kind}; {did_you_mean(key, known) or _listed(known)}"


def _listed(known: Mapping[str, object]) -> str:
    if not known:
        return "declare it there first"
    more = f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else ""
    return f"it has {', '.join(list(known)[:MAX_LISTED])}{more}: use one, or declare it there first"


def rights_offered(catalogue: Catalogue) -> bool:
    """Whether the catalogue says who is responsible (GDPR art. 13(1)(a)).

    Until it does, the pages of rights say only whom to write to.
    """
    return catalogue.controller is not None
