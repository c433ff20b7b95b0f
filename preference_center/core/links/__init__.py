"""Tokens: the signed links of emails, and one-time tokens that prove control of an address.

A link in a message never expires: an opt-out must work for as long as the mail exists
(RULES: 16 CFR 316.5, CASL). `core.links.tokens` encodes, encrypts and signs tokens;
`core.links.offline` is the file that senders copy to make links themselves. `find_token` finds a
token in a path that a mail program or a person has altered. `list_unsubscribe_headers` makes the
List-Unsubscribe headers. `opt_in_method` and `is_opt_out_only` state what a link lets its holder
do on the pages (docs/decisions/0005).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import (
    ConfigError,
    ExpiredLink,
    InvalidLink,
    OtherLinkSignature,
    ProbeLink,
    ReplacedLinkKey,
    Unavailable,
)
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.offline import SENDER_TOKEN_PREFIX
from preference_center.core.links.tokens import (
    INVALID_LINK_MESSAGE,
    LIFETIMES,
    EmptyLinkRegistry,
    Link,
    LinkRegistry,
    LinkTopic,
    MailtoTokenCodec,
    MailtoTokenData,
    Sealer,
    SenderKey,
    SenderTokenCodec,
    TokenPurpose,
    pack_link,
    unpack_link,
    validate_ring,
)

_INVISIBLE = re.compile(r"(?:=(?=[\r\n]))?[\s\x00-\x1f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
"""White space and zero-width characters; `=` before a line break is RFC 2045 6.7's soft break."""


_MAX_DECODINGS = 2
"""How often a path may have been percent-encoded again, by a redirect or a rewritten link."""


def token_pattern(key_ids: Iterable[str]) -> re.Pattern[str]:
    """The syntax of a token of these keys, or of a sender's (`Sealer`, `core.links.offline`)."""
    ids = "|".join(map(re.escape, key_ids))
    signed = rf"(?:{ids})\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{{22}}(?![A-Za-z0-9])"
    return re.compile(
        rf"{signed}|{re.escape(SENDER_TOKEN_PREFIX)}[1-9][0-9]{{0,4}}\.[A-Za-z0-9_-]+"
    )


def find_token(pattern: re.Pattern[str], text: str) -> str | None:
    """The first token in `text`. The signature is not checked here."""
    for _ in range(_MAX_DECODINGS):
        text = unquote(text)
    joined = _INVISIBLE.sub("", text)  # a line break may lie inside a token
    found = pattern.search(joined) or pattern.search(text)
    return found[0] if found else None


ONE_CLICK = "List-Unsubscribe=One-Click"
"""The only value of List-Unsubscribe-Post, and the body that clients send (RFC 8058 3.1)."""


FURTHER_ADDRESS_PARAMETER = "also"
"""In the query: the token of a further address of the same page. May be repeated."""


_TOKEN_PATHS: Mapping[TokenPurpose, str] = {
    TokenPurpose.PAGE_VISIT: "p",
    TokenPurpose.EMAILED_LINK: "m",
    TokenPurpose.PORTAL: "portal",
}


class FormPurpose(StrEnum):
    """The purpose of a sealed form: each has keys of its own, so that none is read as another."""

    PREFERENCES = "preferences"
    SAVED = "saved"
    """What a Save on the preference page did, for the page that shows it."""
    DRAFT = "draft"
    """What is chosen on the preference page and not saved, to show it in another language."""
    UNDO = "undo"
    RESULT = "result"
    """What the page after a press says."""
    CONFIRMATION = "confirmation"
    RIGHTS = "rights"
    RIGHTS_STATUS = "rights status"
    NEW_ADDRESS = "new address"
    MOVED_ADDRESS = "moved address"
    CLOSED_ACCOUNT = "closed account"
    RIGHTS_AUTHORITY = "rights authority"
    """A person is asked whether an agent acts for them."""
    RIGHTS_REPORTED = "rights reported"
    """A person is informed that their address was reported to be a minor's."""
    EMAIL_STOP = "email stop"
    """The reader of a mailbox stops emails that anybody can have sent to it."""


_HARMLESS_FORMS = frozenset({FormPurpose.PREFERENCES, FormPurpose.RESULT, FormPurpose.EMAIL_STOP})
"""Forms that turn nothing on and show nothing of a person, even if a stranger sealed them."""


class LinkKeyProblem(StrEnum):
    """What is the matter with the key of a link that somebody opened."""

    UNKNOWN = "unknown"
    """It is not in LINK_KEYS, or no sender's."""
    SIGNATURE = "signature"
    """It has the id of one of ours, and another secret signed it; or it was altered."""
    MAILTO = "mailto"
    """An address for opt-outs by mail that none of ours signed."""
    OPT_OUT_ONLY = "opt_out_only"
    """It, or the link, was revoked: the link only opts out."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads all signed tokens and forms for people.

    `ring` has (id, 32-byte key) pairs: the first seals, all are read, so that old links
    survive a rotation. Those of the ids `opt_out_only` leaked: links made with them, also by
    senders' keys that derive from them, are revoked. `observe` is called with each problem of a
    key. `registry` looks up senders' keys and revocations; reading a sender's
    token may raise Unavailable through it. Raises ConfigError for an unusable ring or public
    URL: plain HTTP is only for a developer's own machine, since clients refuse it (RULES A1).
    """

    ring: Sequence[tuple[str, bytes]] = field(repr=False)
    public_url: str
    mail_domain: str | None = None
    registry: LinkRegistry = field(default_factory=EmptyLinkRegistry, repr=False)
    opt_out_only: Collection[str] = ()
    observe: Callable[[LinkKeyProblem], None] = field(default=lambda _: None, repr=False)
    _token_pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _link_sealer: Sealer = field(init=False, repr=False, compare=False)
    _form_sealers: Mapping[FormPurpose, Sealer] = field(init=False, repr=False, compare=False)
    _request_sealer: Sealer = field(init=False, repr=False, compare=False)
    _mailto_codec: MailtoTokenCodec = field(init=False, repr=False, compare=False)
    _sender_codec: SenderTokenCodec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        url = urlsplit(self.public_url)
        if url.scheme != "https" and url.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ConfigError("PUBLIC_URL must begin with https://")
        validate_ring(self.ring)
        if self.newest_key_id in self.opt_out_only:
            raise ConfigError("LINK_KEYS: a key that only opts out can't be the first: add another")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        object.__setattr__(
            self, "_token_pattern", token_pattern([key_id for key_id, _ in self.ring])
        )
        object.__setattr__(self, "_link_sealer", Sealer(self.ring, "link"))
        forms = {form: Sealer(self.ring, f"form {form}") for form in FormPurpose}
        object.__setattr__(self, "_form_sealers", forms)
        object.__setattr__(self, "_request_sealer", Sealer(self.ring, "request"))
        object.__setattr__(self, "_mailto_codec", MailtoTokenCodec(self.ring))
        object.__setattr__(
            self, "_sender_codec", SenderTokenCodec(self.ring, self.registry, self.opt_out_only)
        )

    def create_token(self, link: Link) -> str:
        """The token of a link. Raises InvalidInput for a message id that can't be carried."""
        return self._link_sealer.seal(pack_link(link))

    def read_token(self, token: str, now: datetime) -> Link:
        """The link of a message's or a page visit's token, as `/u/` and `/p/` accept it.

        An expired visit is read too, as `expired`, and a revoked token, as `revoked`: an
        opt-out must always work. Raises InvalidLink, with one message for all errors, and
        ProbeLink for a token of `create_probe_token`.
        """
        link, purpose = self._open_token(token)
        if purpose in {TokenPurpose.MESSAGE, TokenPurpose.PERMANENT}:
            return link
        if purpose is not TokenPurpose.PAGE_VISIT:  # only its own view may consume it
            raise InvalidLink(INVALID_LINK_MESSAGE)
        expired = link.revoked or now - link.issued_at > LIFETIMES[purpose]
        return replace(link, proves_control=not expired, expired=expired)

    def create_one_time_token(
        self, purpose: TokenPurpose, address: Address, token_id: UUID, now: datetime
    ) -> str:
        """A one-time token that is valid from now on; see LIFETIMES."""
        return self._link_sealer.seal(
            pack_link(Link(address, ALL_MARKETING, str(token_id), now), purpose)
        )

    def read_one_time_token(self, token: str, purpose: TokenPurpose, now: datetime) -> Link:
        """The link of a one-time token of this purpose. Raises InvalidLink, ExpiredLink."""
        link, actual = self._open_token(token)
        if actual is not purpose:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        if link.revoked or now - link.issued_at > LIFETIMES[purpose]:
            raise ExpiredLink("this link has expired")
        return replace(link, proves_control=True)

    def find_token(self, text: str) -> str:
        """The first token in a path, or in a part of one; `text` itself if there is none.

        Mail programs and people add to links: punctuation, brackets, blanks, zero-width
        characters, line breaks in the middle. None of these can belong to a token.
        """
        return find_token(self._token_pattern, text) or text

    def address_of(self, token: str) -> Address:
        """The address of a token of any purpose and age. Raises InvalidLink."""
        return self.read_any_token(token).address

    def read_any_token(self, token: str) -> Link:
        """The link of a token of any purpose and age: use it for an opt-out only.

        Raises InvalidLink, and ProbeLink for a token of `create_probe_token`.
        """
        return self._open_token(token)[0]

    def create_permanent_token(self, link: Link) -> str:
        """The token for a column of `link.destination_id`: the same whenever it is made."""
        return self._link_sealer.seal(pack_link(link, TokenPurpose.PERMANENT))

    def create_probe_token(self, now: datetime) -> str:
        """A token that opts nobody out, to check that `/u/` can be reached."""
        return self._link_sealer.seal(pack_link(probe_link(now), TokenPurpose.PROBE))

    def base_url(self, host: str | None = None) -> str:
        """The base URL of the pages: on a brand's own `host`, or `public_url`.

        On a developer's own machine always the latter.
        """
        on_host = host is not None and self.public_url.startswith("https:")
        return f"https://{host}" if on_host else self.public_url

    def one_time_url(
        self,
        purpose: TokenPurpose,
        address: Address,
        token_id: UUID,
        now: datetime,
        host: str | None = None,
    ) -> str:
        """The URL of a new one-time token."""
        token = self.create_one_time_token(purpose, address, token_id, now)
        return f"{self.base_url(host)}/{_TOKEN_PATHS[purpose]}/{token}"

    def short_url(self, code: str, host: str | None = None) -> str:
        """The URL of a short link, for text messages."""
        return f"{self.base_url(host)}/s/{code}"

    def unsubscribe_url(self, token: str, host: str | None = None) -> str:
        """The URL of the unsubscribe page, for people and for one-click clients."""
        return f"{self.base_url(host)}/u/{token}"

    def preferences_url(self, token: str, host: str | None = None) -> str:
        """The URL of the preference page."""
        return f"{self.base_url(host)}/p/{token}"

    def export_sender_key(self, key: SenderKey, topics: Sequence[LinkTopic]) -> str:
        """The text of a sender's link key, for the sender only: `LinkMinter` reads it."""
        return self._sender_codec.export_key(key, topics, self.mail_domain)

    @property
    def newest_key_id(self) -> str:
        """Id of the key that seals."""
        return self.ring[0][0]

    def seal_form(self, purpose: FormPurpose, data: Mapping[str, Any], now: datetime) -> str:
        """Seal `data` (JSON) and the time `now` for a form to return unaltered."""
        text = json.dumps([now.timestamp(), data], separators=(",", ":"))
        return self._form_sealers[purpose].seal(text.encode())

    def open_form(
        self,
        purpose: FormPurpose,
        text: str,
        max_age: timedelta | None,
        now: datetime,
        *,
        to_opt_out: bool = False,
    ) -> tuple[datetime, dict[str, Any]]:
        """When the form was signed, and its data.

        Raises InvalidLink when altered, sealed for another form, or older than `max_age`
        (None: any age), and ReplacedLinkKey for a form of a leaked key that could be used for
        more than `to_opt_out`. A time ahead of `now` is another host's clock, and counts as now.
        """
        key_id, payload = self._form_sealers[purpose].open(text)
        if key_id in self.opt_out_only and not to_opt_out and purpose not in _HARMLESS_FORMS:
            raise ReplacedLinkKey(INVALID_LINK_MESSAGE)
        seconds, data = json.loads(payload)
        signed_at = min(datetime.fromtimestamp(seconds, UTC), now)
        if max_age is not None and now - signed_at > max_age:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        return signed_at, data

    def seal_request(self, data: Mapping[str, Any]) -> bytes:
        """Seal a request to spool until it can be recorded; `data` is JSON. ASCII.

        It uses the ring of links, so it can be opened as long as the links in mails can
        (docs/decisions/0032).
        """
        return self._request_sealer.seal(json.dumps(data, separators=(",", ":")).encode()).encode()

    def open_request(self, sealed: bytes) -> dict[str, Any]:
        """The data that `seal_request` sealed. Raises InvalidLink if altered, or if unknown."""
        try:
            _, payload = self._request_sealer.open(sealed.decode("ascii"))
            data: dict[str, Any] = json.loads(payload)
        except ValueError:
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        return data

    def create_mailto_token(self, link: Link, digest: bytes) -> str:
        """The local part of the mailto opt-out: 64 characters, case-insensitive.

        `digest` is the exact digest of the link's address. It does not contain the message id.
        """
        return self._mailto_codec.encode(link, digest)

    def read_mailto_token(self, text: str) -> MailtoTokenData:
        """The content of a mailto token, in any case (RULES A11). Raises InvalidLink."""
        try:
            return self._mailto_codec.decode(text)
        except InvalidLink:
            return self._sender_codec.decode_mailto(text)

    def _open_token(self, token: str) -> tuple[Link, TokenPurpose]:
        try:
            link, purpose = self._decode_token(token)
        except ReplacedLinkKey:
            self.observe(LinkKeyProblem.UNKNOWN)
            raise
        except OtherLinkSignature:
            self.observe(LinkKeyProblem.SIGNATURE)
            raise
        if link.revoked:
            self.observe(LinkKeyProblem.OPT_OUT_ONLY)
        return link, purpose

    def _decode_token(self, token: str) -> tuple[Link, TokenPurpose]:
        if token.startswith(SENDER_TOKEN_PREFIX):
            return self._sender_codec.decode(token), TokenPurpose.MESSAGE
        key_id, payload = self._link_sealer.open(token)
        try:
            link, purpose = unpack_link(payload, key_id)
        except ValueError:  # made by a newer version
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        if purpose is TokenPurpose.PROBE:
            raise ProbeLink("this link is for checks only")
        if key_id in self.opt_out_only:
            return replace(link, revoked=True), purpose
        if link.destination_id is not None:
            link = replace(link, revoked=self._is_revoked(link.destination_id, link.issued_at))
        return link, purpose

    def _is_revoked(self, destination: int, issued_at: datetime) -> bool:
        """Whether it was revoked. True while that can't be looked up: opting out still works."""
        try:
            since = self.registry.permanent_links_since(destination)
        except Unavailable:
            return True
        return since is not None and issued_at < since


def probe_link(now: datetime) -> Link:
    """The link of a probe. Its address can never exist (RFC 2606 2)."""
    nobody = "nobody@probe.invalid"
    return Link(Address(Channel.EMAIL, nobody, nobody, None), ALL_MARKETING, "", now)


def list_unsubscribe_headers(
    links: Links,
    link: Link,
    digest: bytes | None = None,
    host: str | None = None,
    token: str | None = None,
) -> dict[str, str]:
    """The header pair of RFC 8058 for one message; both must be DKIM-signed (RULES A2).

    The HTTPS URI comes first, since some clients stop at the first entry (RULES A10). The
    mailto entry needs a domain whose mail we receive and the address's exact `digest`.
    Set the values unfolded: their only white space is after the comma. `host` is the
    brand's own, if it has one; `token` the result of `create_token`, if already made.
    """
    entries = [f"<{links.unsubscribe_url(token or links.create_token(link), host)}>"]
    if links.mail_domain is not None and digest is not None:
        mailbox = f"{links.create_mailto_token(link, digest)}@{links.mail_domain}"
        entries.append(f"<mailto:{mailbox}?subject=unsubscribe>")
    return {"List-Unsubscribe": ", ".join(entries), "List-Unsubscribe-Post": ONE_CLICK}


FULL_ACCESS_PERIOD = timedelta(days=60)
"""How long a message's link gives access to the whole page."""


class OptInMethod(StrEnum):
    """How a topic can be turned on with a link."""

    IMMEDIATE = "immediate"
    CONFIRM_BY_EMAIL = "confirm_by_email"
    UNAVAILABLE = "unavailable"
    """Not possible: it would have to be confirmed by email, and none can be sent."""


def opt_in_method(channel: Channel, *, proves_control: bool, can_mail: bool) -> OptInMethod:
    """How a link to an address of `channel` can turn something on."""
    if proves_control:
        return OptInMethod.IMMEDIATE
    can_confirm = can_mail and channel.rules.is_email
    return OptInMethod.CONFIRM_BY_EMAIL if can_confirm else OptInMethod.UNAVAILABLE


def is_opt_out_only(
    issued_at: datetime,
    now: datetime,
    *,
    revoked: bool,
    proves_control: bool,
    has_message_id: bool,
) -> bool:
    """Whether a link may only opt out: it was revoked, or is of an old message.

    After FULL_ACCESS_PERIOD the address may have changed hands. A permanent link names no
    message and does not age; it shows the address masked, and proves no control either.
    """
    aged = has_message_id and now - issued_at > FULL_ACCESS_PERIOD
    return revoked or (not proves_control and aged)
