"""Settings come from the environment and from files; a missing or wrong one stops the start.

Settings are frozen. `NAME_FILE` names a file that holds the setting `NAME`. So a process
gets secrets that do not show in its environment, which `docker inspect`, crash dumps and child
processes have. Docker's and Kubernetes' secrets are such files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
from babel.dates import get_timezone
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from preference_center.core.addresses import SUPPORTED_REGIONS, Channel, parse_address
from preference_center.core.bursts import BurstRule
from preference_center.core.errors import ConfigError, InvalidAddress, InvalidInput
from preference_center.core.networks import Network, parse_private_networks
from preference_center.infra.config_sections import ConsoleSettings, MailSettings
from preference_center.integrations.base.webhook import is_standard_secret

SUFFIX = "_FILE"


_MAX_BYTES = 1024 * 1024
_MIN_CONSENT_SECRET = 32
_ONE_SERVER = re.compile(
    r"rediss?://(?:[\w.~%!$&'()*+,;=-]*(?::[\w.~%!$&'()*+,;=:-]*)?@)?"
    r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::(?:\d{1,4}|[1-5]\d{4}))?(?:/\d{0,4})?",
    re.ASCII,
)
"""The usual REDIS_URL: a server with or without an account, a port and a database's number. The
library accepts every one of this form."""


@dataclass(frozen=True, slots=True)
class SettingFiles:
    """What the files hold, and what is wrong with others, both by the setting's name."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    """Begins with what follows the name in capitals: `_FILE: ...`."""


def read_setting_files(environ: Mapping[str, str], names: Iterable[str]) -> SettingFiles:
    """Read the file of each setting of `names` that `environ` names one for.

    The white space at the end of a file is no part of the setting: editors and `echo` add a line
    break. It is a problem if the setting is also given by itself, since one of the two is old.
    """
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    given = {name.upper(): value for name, value in environ.items()}  # as pydantic-settings does
    for name in names:
        path = given.get(f"{name.upper()}{SUFFIX}")
        if not path:
            continue
        if given.get(name.upper()):
            problems[name] = f" and {name.upper()}{SUFFIX} are both set: remove one of them"
            continue
        try:
            values[name] = _read(Path(path))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems[name] = f"{SUFFIX}: {path} can't be read: {reason}"
    return SettingFiles(values, problems)


def _read(path: Path) -> str:
    """Raises OSError, and ValueError for what is no short text."""
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("it has more than a megabyte")
    try:
        text = raw.decode().rstrip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not text:
        raise ValueError("it is empty")
    return text


MEBIBYTE = 1024 * 1024


class Settings(MailSettings, ConsoleSettings):
    """Every setting, named in the environment as here in capitals.

    The keys are rings, written `id:base64url,id:base64url`; `flask keys generate`
    makes one. `docs/deploy.md` describes the effect of losing or leaking each one.
    A setting can also come from a file (`setting_files`).
    """

    # Here and not in the parts: of several bases with the same, pydantic takes the last.
    model_config = SettingsConfigDict(env_ignore_empty=True)

    database_url: str = Field(description="postgresql://user:password@host/database")
    redis_url: str = Field(
        description="redis://host:port/0, rediss:// or redis+sentinel://host:port,host:port/name/0"
    )
    public_url: str = Field(description="URL of the pages, https://host")
    secret_key: str = Field(min_length=32, description="Signs forms; any long random text")
    digest_keys: str = Field(description="Chain of keys for address digests, oldest first")
    encryption_keys: str = Field(description="Ring that encrypts addresses, newest first")
    link_keys: str = Field(description="Ring that signs and encrypts links, newest first")
    feed_kafka_topic: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Topic of Kafka that the process publisher passes the feed on to, if any",
    )
    feed_kafka_config: str | None = Field(
        default=None, description="File of librdkafka's properties, bootstrap.servers among them"
    )
    feed_kafka_addresses: bool = Field(
        default=False, description="Whether its messages have readable addresses"
    )
    private_networks: str = Field(
        default="",
        description="Networks inside the company that destinations may reach, as in"
        " 10.20.0.0/16, fd12:3456::/32; each destination names its own of them",
    )
    file_drop_root: str = Field(
        default=".data/drop",
        description="Folder of the workers' machine below which file drops may write",
    )
    rights_webhook_url: str | None = Field(
        default=None,
        description="Program of the company that is informed of data-subject requests, if any",
    )
    rights_webhook_secret: str = Field(
        default="",
        repr=False,
        validate_default=True,
        description="Signs these webhooks: whsec_ and 24 to 64 bytes in base64; several, separated"
        " by spaces, while one replaces another",
    )
    consent_secrets: str = Field(
        default="",
        repr=False,
        description="Secrets of the sites' endpoints for choices about cookies, site:secret, each"
        " of 32 characters or more; several, separated by spaces, also of one site while one"
        " replaces another",
    )
    alert_email: str | None = Field(
        default=None,
        validate_default=True,
        description="Address of staff that is informed when an alert begins and ends, if any",
    )
    alert_webhook: str | None = Field(
        default=None,
        repr=False,
        description="URL of a chat or paging program that is sent the same, if any",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        description="URL of an OpenTelemetry collector for traces, http://host:4318, if any; needs"
        " the extra otel",
    )
    sentry_dsn: str | None = Field(
        default=None,
        repr=False,
        description="Project of Sentry that errors are reported to, if any; needs the extra sentry",
    )
    phone_region: str = Field(
        description="Region of phone numbers without a country code, ISO 3166-1: US, IT"
    )
    time_zone: str = Field(
        description="Time zone of the times that people see: America/New_York, Europe/Rome"
    )
    trusted_proxies: int = Field(
        default=0, ge=0, description="Number of chained proxies in front that set X-Forwarded-For"
    )
    internal_host: str = Field(
        default="127.0.0.1", description="Host of the internal port; 0.0.0.0 in a container"
    )
    internal_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of /livez, /readyz, /healthz and /metrics, which are not on PORT then;"
        " one for each process of a host",
    )
    database_replica_url: str | None = Field(
        default=None,
        description="A replica that snapshots, exports and reports read, in the same format",
    )
    database_replica_max_lag: int = Field(
        default=300, ge=1, description="Seconds behind from which the primary is read instead"
    )
    database_pooler: Literal["detect", "transaction"] = Field(
        default="detect",
        description="Whether a pooler (PgBouncer) is noticed, or one is there anyway: transaction",
    )
    database_pool: int = Field(default=8, ge=1, description="Connections per process")
    api_rate: str = Field(
        default="600000 per minute",
        description="Rate limit of each API key without one of its own; or none",
    )
    max_streams: int = Field(
        default=2,
        ge=1,
        description="Streamed lists at a time per process; keep it below WEB_THREADS",
    )
    web_threads: int = Field(
        default=8, ge=1, description="Requests that each web process handles at a time"
    )
    snapshot_minutes: int = Field(
        default=30, ge=1, description="Time limit of a snapshot or an export of everything"
    )
    max_body_bytes: int = Field(default=8 * MEBIBYTE, description="Largest request body")

    spool_dir: str = Field(
        default=".data/spool",
        description="Folder on a local disk for opt-outs while PostgreSQL is unavailable; or none",
    )
    spool_max_bytes: int = Field(
        default=64 * MEBIBYTE, ge=MEBIBYTE, description="Size of that folder; about 90,000 opt-outs"
    )
    erasure_journal: str | None = Field(
        default=None,
        description="Second place for erasures, so that a restored backup brings nobody back: a"
        " folder on another disk, or s3://bucket/folder",
    )
    erasure_journal_s3_endpoint: str | None = Field(
        default=None, description="URL of a service that speaks S3, if it is not Amazon's"
    )
    burst_addresses: int = Field(
        default=5, ge=2, description="Opt-outs from one domain that make a burst"
    )
    burst_seconds: int = Field(default=60, ge=1, description="Time span of a burst")
    burst_minutes: int = Field(
        default=10, ge=1, description="Longest time between the send and a burst"
    )

    @field_validator("redis_url")
    @classmethod
    def _validate_redis_url(cls, url: str) -> str:
        if _ONE_SERVER.fullmatch(url):
            return url
        # Imported late: only the library knows its options and what else it accepts.
        from preference_center.infra.redis import validate_redis_url  # noqa: PLC0415

        try:
            return validate_redis_url(url)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("phone_region")
    @classmethod
    def _validate_phone_region(cls, region: str) -> str:
        if region not in SUPPORTED_REGIONS:
            raise ValueError(
                "write a country's two capital letters of ISO 3166-1, such as US or IT"
            )
        return region

    @field_validator("time_zone")
    @classmethod
    def _validate_time_zone(cls, name: str) -> str:
        try:
            get_timezone(name)
        except LookupError:
            raise ValueError("no time zone of the IANA database has this name") from None
        return name

    @field_validator("api_rate")
    @classmethod
    def _validate_api_rate(cls, rate: str) -> str:
        # Imported late: its libraries take a tenth of a command's time, and few set a rate.
        from preference_center.infra.redis import parse_rate  # noqa: PLC0415

        try:
            return parse_rate(rate)
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @field_validator("alert_email")
    @classmethod
    def _validate_alert_email(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address and not info.data.get("smtp_url"):
            raise ValueError("SMTP_URL must be set, too")
        if not address:
            return address
        try:
            parse_address(address, Channel.EMAIL)
        except InvalidAddress:
            raise ValueError("write it as in alerts@example.com") from None
        return address

    @field_validator("alert_webhook")
    @classmethod
    def _validate_alert_webhook(cls, url: str | None) -> str | None:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("write it as in https://chat.example.com/hooks/1")
        return url

    @field_validator("private_networks")
    @classmethod
    def _validate_private_networks(cls, text: str) -> str:
        parse_private_networks(text)
        return text

    @field_validator("rights_webhook_secret")
    @classmethod
    def _validate_rights_webhook_secret(cls, secrets: str, info: ValidationInfo) -> str:
        if info.data.get("rights_webhook_url") and not secrets.split():
            raise ValueError("must be set where RIGHTS_WEBHOOK_URL is")
        if not all(map(is_standard_secret, secrets.split())):
            raise ValueError("write whsec_ and 24 to 64 bytes in base64")
        return secrets

    @field_validator("consent_secrets")
    @classmethod
    def _validate_consent_secrets(cls, text: str) -> str:
        pairs = (each.partition(":") for each in text.split())
        if any(not site or len(secret) < _MIN_CONSENT_SECRET for site, _, secret in pairs):
            raise ValueError(
                f"write site:secret, each secret of {_MIN_CONSENT_SECRET} characters or more"
            )
        return text

    def secrets_of_site(self, key: str) -> tuple[str, ...]:
        """What the endpoint of this site may name; empty where none is set."""
        pairs = (each.partition(":") for each in self.consent_secrets.split())
        return tuple(secret for site, _, secret in pairs if site == key)

    @property
    def reachable_networks(self) -> tuple[Network, ...]:
        """Networks inside the company that webhooks may reach."""
        return parse_private_networks(self.private_networks)

    @property
    def burst_rule(self) -> BurstRule:
        """What makes a burst of opt-outs (docs/inbound.md)."""
        return BurstRule(
            self.burst_addresses,
            timedelta(seconds=self.burst_seconds),
            timedelta(minutes=self.burst_minutes),
        )

    @property
    def conninfo(self) -> str:
        """`database_url` as libpq reads it; it may name several hosts. Raises ConfigError."""
        return _to_conninfo("DATABASE_URL", self.database_url)

    @property
    def replica_conninfo(self) -> str | None:
        """The same of `database_replica_url`."""
        url = self.database_replica_url
        return _to_conninfo("DATABASE_REPLICA_URL", url) if url else None


def _to_conninfo(name: str, text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ConfigError(f"{name} must begin with postgresql://")
    url = f"postgresql://{rest}"
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message may hold the password
        raise ConfigError(
            f"{name}: write it as postgresql://user:password@host:port/database,"
            " special characters percent-encoded"
        ) from None
    return url


def load_settings() -> Settings:
    """Read the environment, and the files that it names for settings (`docs/settings.md`).

    Raises ConfigError that names every missing or wrong variable, never its value.
    """
    files = read_setting_files(os.environ, Settings.model_fields)
    lines = [f"{name.upper()}{problem}" for name, problem in files.problems.items()]
    try:
        values: dict[str, Any] = {**files.values}
        settings = Settings(**values)
    except ValidationError as error:
        lines += [
            _format_problem(problem)
            for problem in error.errors(include_input=False, include_url=False)
            if problem["loc"][0] not in files.problems
        ]
    else:
        if not lines:
            return settings
    raise ConfigError("Settings are missing or wrong:\n" + "\n".join(lines))


def _format_problem(problem: ErrorDetails) -> str:
    """What is wrong with one setting; of a missing one also what it is."""
    name = ".".join(map(str, problem["loc"]))
    line = f"{name.upper()}: {problem['msg']}"
    known = Settings.model_fields.get(name)
    if problem["type"] == "missing" and known:
        line += f" ({known.description})"
    return line
