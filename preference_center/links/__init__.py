"""Signed links, the passes that prove control of an address, and List-Unsubscribe headers.

A link in a message never expires: an opt-out must work for as long as the mail can be found
(RULES: 16 CFR 316.5, CASL). `sealing` says how tokens are made, `tokens` what they say.
`offline` is the file that senders copy, `senders` reads what they made with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from preference_center.domain.addresses import Address, Channel
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import (
    ConfigError,
    ExpiredLink,
    InvalidLink,
    ProbeLink,
    Unavailable,
)
from preference_center.links.find_token import find_token, token_pattern
from preference_center.links.link_payload import (
    LIFETIMES,
    MAX_MESSAGE_ID,
    Link,
    TokenPurpose,
    pack_link,
    restore_address,
    unpack_link,
)
from preference_center.links.mailto_tokens import (
    DIGEST_PREFIX_BYTES,
    MailtoTokenCodec,
    MailtoTokenData,
)
from preference_center.links.offline import SENDER_TOKEN_PREFIX
from preference_center.links.sealer import INVALID_LINK_MESSAGE, Sealer, validate_ring
from preference_center.links.sender_tokens import (
    EmptyLinkRegistry,
    LinkRegistry,
    LinkTopic,
    SenderKey,
    SenderTokenCodec,
)

__all__ = [
    "DIGEST_PREFIX_BYTES",
    "LIFETIMES",
    "MAX_MESSAGE_ID",
    "ONE_CLICK",
    "FormPurpose",
    "Link",
    "LinkRegistry",
    "LinkTopic",
    "Links",
    "MailtoTokenData",
    "SenderKey",
    "TokenPurpose",
    "list_unsubscribe_headers",
    "probe_link",
    "restore_address",
]

ONE_CLICK = "List-Unsubscribe=One-Click"
"""The only value of List-Unsubscribe-Post, and the body that clients send (RFC 8058 3.1)."""

_TOKEN_PATHS: Mapping[TokenPurpose, str] = {
    TokenPurpose.PAGE_VISIT: "p",
    TokenPurpose.EMAILED_LINK: "m",
    TokenPurpose.PORTAL: "portal",
}


class FormPurpose(StrEnum):
    """What a sealed form is for: each has keys of its own, so none is read as another."""

    PREFERENCES = "preferences"
    UNDO = "undo"
    CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads everything that is signed for people.

    `ring` holds (id, 32-octet key) pairs: the first signs, all are read, so that old links
    outlive a rotation. `registry` knows senders' keys and what was revoked; reading what a
    sender made may raise Unavailable through it. Raises ConfigError for
    a ring or a public URL that can't be used: plain HTTP is for a developer's own machine
    only, since clients refuse it (RULES A1).
    """

    ring: Sequence[tuple[str, bytes]] = field(repr=False)
    public_url: str
    mail_domain: str | None = None
    registry: LinkRegistry = field(default_factory=EmptyLinkRegistry, repr=False)
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
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        object.__setattr__(
            self, "_token_pattern", token_pattern([key_id for key_id, _ in self.ring])
        )
        object.__setattr__(self, "_link_sealer", Sealer(self.ring, "link"))
        forms = {form: Sealer(self.ring, f"form {form}") for form in FormPurpose}
        object.__setattr__(self, "_form_sealers", forms)
        object.__setattr__(self, "_request_sealer", Sealer(self.ring, "request"))
        object.__setattr__(self, "_mailto_codec", MailtoTokenCodec(self.ring))
        object.__setattr__(self, "_sender_codec", SenderTokenCodec(self.ring, self.registry))

    def create_token(self, link: Link) -> str:
        """The token of a link. Raises InvalidInput for a message id that can't be carried."""
        return self._link_sealer.seal(pack_link(link))

    def read_token(self, token: str, now: datetime) -> Link:
        """What the token of a message, or of a visit, says: the reader of `/u/` and `/p/`.

        An expired visit reads too, as `expired`, and whatever was revoked, as `revoked`: who
        says no must be heard. Raises InvalidLink, with one message for every fault, and
        ProbeLink for what `make_probe` made.
        """
        link, use = self._open_token(token)
        if use in {TokenPurpose.MESSAGE, TokenPurpose.PERMANENT}:
            return link
        if use is not TokenPurpose.PAGE_VISIT:  # it must go through its own door, which spends it
            raise InvalidLink(INVALID_LINK_MESSAGE)
        expired = now - link.issued_at > LIFETIMES[use]
        return replace(link, proves_control=not expired, expired=expired)

    def create_one_time_token(
        self, purpose: TokenPurpose, address: Address, token_id: UUID, now: datetime
    ) -> str:
        """The token of a pass that begins now; see LIFETIMES."""
        return self._link_sealer.seal(
            pack_link(Link(address, ALL_MARKETING, str(token_id), now), purpose)
        )

    def read_one_time_token(self, token: str, purpose: TokenPurpose, now: datetime) -> Link:
        """What a pass of this use says. Raises InvalidLink, or ExpiredLink if it was one."""
        link, found = self._open_token(token)
        if found is not purpose:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        if now - link.issued_at > LIFETIMES[purpose]:
            raise ExpiredLink("the time of this link is over")
        return replace(link, proves_control=True)

    def find_token(self, text: str) -> str:
        """The first token in a path, or in a part of one; `text` itself if there is none.

        Mail programs and people add to links: punctuation, brackets, blanks, characters of no
        width, line breaks in the middle. None of these can belong to a token.
        """
        return find_token(self._token_pattern, text) or text

    def address_of(self, token: str) -> Address:
        """Whose token it is, whatever its use and age. Raises InvalidLink."""
        return self.read_any_token(token).address

    def read_any_token(self, token: str) -> Link:
        """What a token says, whatever its use and age: good for an opt-out, for nothing else.

        Raises InvalidLink, and ProbeLink for what `make_probe` made.
        """
        return self._open_token(token)[0]

    def create_permanent_token(self, link: Link) -> str:
        """The token for a column of `link.destination`: the same whenever it is made."""
        return self._link_sealer.seal(pack_link(link, TokenPurpose.PERMANENT))

    def create_probe_token(self, now: datetime) -> str:
        """A token that opts nobody out, to see whether `/u/` can be reached."""
        return self._link_sealer.seal(pack_link(probe_link(now), TokenPurpose.PROBE))

    def base_url(self, host: str | None = None) -> str:
        """Where the pages are: on a brand's own `host`, or at `public_url`.

        On a developer's own machine, which has no other names, always the latter.
        """
        own = host is not None and self.public_url.startswith("https:")
        return f"https://{host}" if own else self.public_url

    def one_time_url(
        self,
        purpose: TokenPurpose,
        address: Address,
        token_id: UUID,
        now: datetime,
        host: str | None = None,
    ) -> str:
        """Where a new pass is used."""
        token = self.create_one_time_token(purpose, address, token_id, now)
        return f"{self.base_url(host)}/{_TOKEN_PATHS[purpose]}/{token}"

    def unsubscribe_url(self, token: str, host: str | None = None) -> str:
        """Where a person, or their mail client, says no."""
        return f"{self.base_url(host)}/u/{token}"

    def preferences_url(self, token: str, host: str | None = None) -> str:
        """Where a person chooses."""
        return f"{self.base_url(host)}/p/{token}"

    def export_sender_key(self, key: SenderKey, topics: Sequence[LinkTopic]) -> str:
        """The text of a sender's link key, for the sender alone: `offline.Minter` reads it."""
        return self._sender_codec.export_key(key, topics, self.mail_domain)

    @property
    def newest_key_id(self) -> str:
        """Id of the key that seals."""
        return self.ring[0][0]

    def seal_form(self, purpose: FormPurpose, data: Mapping[str, Any], now: datetime) -> str:
        """Seal what `form` must bring back unaltered; `data` is JSON, the time is kept."""
        text = json.dumps([now.timestamp(), data], separators=(",", ":"))
        return self._form_sealers[purpose].seal(text.encode())

    def open_form(
        self, purpose: FormPurpose, text: str, max_age: timedelta | None, now: datetime
    ) -> tuple[datetime, dict[str, Any]]:
        """When the form was signed, and its data.

        Raises InvalidLink when altered, sealed for another form, or older than `max_age`
        (None: any age). A time ahead of `now` is another host's clock, and counts as now.
        """
        _, payload = self._form_sealers[purpose].open(text)
        seconds, data = json.loads(payload)
        signed_at = min(datetime.fromtimestamp(seconds, UTC), now)
        if max_age is not None and now - signed_at > max_age:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        return signed_at, data

    def seal_request(self, data: Mapping[str, Any]) -> bytes:
        """Seal a request that is kept until it can be recorded; `data` is JSON. ASCII.

        By the ring whose key its token was read with just now, so it can be opened as long as
        the links in mails can (docs/decisions/0032).
        """
        return self._request_sealer.seal(json.dumps(data, separators=(",", ":")).encode()).encode()

    def open_request(self, sealed: bytes) -> dict[str, Any]:
        """What `seal_request` sealed. Raises InvalidLink when altered, or of a key unknown here."""
        try:
            _, payload = self._request_sealer.open(sealed.decode("ascii"))
            data: dict[str, Any] = json.loads(payload)
        except ValueError:
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        return data

    def create_mailto_token(self, link: Link, digest: bytes) -> str:
        """The local part of the mailto opt-out: 64 characters, case-insensitive.

        `digest` is the exact digest of the link's address. The message id has no room.
        """
        return self._mailto_codec.encode(link, digest)

    def read_mailto_token(self, text: str) -> MailtoTokenData:
        """What a mail token says, in whatever case it came (RULES A11). Raises InvalidLink."""
        try:
            return self._mailto_codec.decode(text)
        except InvalidLink:
            return self._sender_codec.decode_mailto(text)

    def _open_token(self, token: str) -> tuple[Link, TokenPurpose]:
        if token.startswith(SENDER_TOKEN_PREFIX):
            return self._sender_codec.decode(token), TokenPurpose.MESSAGE
        key_id, payload = self._link_sealer.open(token)
        try:
            link, use = unpack_link(payload, key_id)
        except ValueError:  # of a version of ours that is newer
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        if use is TokenPurpose.PROBE:
            raise ProbeLink("this link is for checks only")
        if link.destination_id is not None:
            link = replace(link, revoked=self._is_revoked(link.destination_id, link.issued_at))
        return link, use

    def _is_revoked(self, destination: int, issued_at: datetime) -> bool:
        """Whether it was. Assumed while that can't be looked up: it opts out all the same."""
        try:
            since = self.registry.permanent_links_since(destination)
        except Unavailable:
            return True
        return since is not None and issued_at < since


def probe_link(now: datetime) -> Link:
    """The link of a probe. Its address is nobody's, for ever (RFC 2606 2)."""
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
    Set the values unfolded: they have no white space to fold at but after the comma. `host`
    is the brand's own, if it has one; `token` what `make` made of the link, if it did.
    """
    entries = [f"<{links.unsubscribe_url(token or links.create_token(link), host)}>"]
    if links.mail_domain is not None and digest is not None:
        mailbox = f"{links.create_mailto_token(link, digest)}@{links.mail_domain}"
        entries.append(f"<mailto:{mailbox}?subject=unsubscribe>")
    return {"List-Unsubscribe": ", ".join(entries), "List-Unsubscribe-Post": ONE_CLICK}
