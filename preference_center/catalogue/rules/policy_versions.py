"""The versions of the company's privacy policy, and from when each is in force."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from preference_center.catalogue.rules.company_contact import check_url
from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.core.errors import quote_toml

PRIVACY = "privacy"
"""The policy whose versions `[policies.privacy]` declares."""

NOTICE_PERIOD = timedelta(days=30)
"""How long pages announce a new version before it comes into force, and how long after."""

_FIELDS = ("effective", "material", "url", "sha256", "summary", "reconsent", "message_type")
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
    """Whether consents from before it is in force no longer count from then on."""
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


def consent_cutoffs(versions: Sequence[PolicyVersion]) -> tuple[datetime, ...]:
    """The times from which older consents no longer count, in order."""
    return tuple(each.effective_at for each in versions if each.reconsent)


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
    return PolicyVersion(
        version=key,
        effective=effective,
        effective_at=_begin_of_day(effective, timezone),
        material=table.get_bool("material"),
        url=_parse_urls(table, languages),
        sha256=_parse_sha256(table, languages),
        summary=table.get_localized_text("summary", languages, required=True),
        reconsent=table.get_bool("reconsent"),
        message_type=table.get_reference(
            "message_type", "message_types", service_types, required=False
        ),
    )


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
