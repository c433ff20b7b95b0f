"""Check a host of our pages from outside, as mail clients see it.

It sends a probe: a token that is answered like any other and records nothing, since it names no
address. So the check covers everything between a mail client and us: DNS, certificate, proxy, bot
checks, redirects.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx

from preference_center.core.links import ONE_CLICK
from preference_center.senders.mailcheck.links import Finding, error, ok, warning

TIMEOUT_SECONDS = 10.0
"""Seconds that the least patient mail client waits (CLIENTS: Inbox Zero)."""

MIN_CERTIFICATE_VALIDITY = timedelta(days=14)
"""How long before its expiry a certificate should have been renewed."""

_PROXY = "docs/proxy.md"
_RFC = "RFC 8058 3.1, 3.2"
_SUCCESS_TEXT = "You are unsubscribed."
_NAME, _, _VALUE = ONE_CLICK.partition("=")

# As clients send it: no cookie, no login, any Origin (CLIENTS).
_POST_VARIANTS = {
    "form": {
        "content": ONE_CLICK,
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "multipart": {"files": {_NAME: (None, _VALUE)}},
    "foreign": {
        "content": ONE_CLICK,
        "headers": {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": "moz-extension://0a1b2c3d",
            "User-Agent": "",
        },
    },
}
_EXPECTED_HEADERS = {
    "Cache-Control": ("no-store", "pages get stored on the way"),
    "Referrer-Policy": ("no-referrer", "other sites receive tokens"),
    "Content-Security-Policy": ("default-src 'none'", "scripts added by others may run"),
}


def check_host(
    base_url: str, probe_token: str, now: datetime, ssl_context: ssl.SSLContext | None = None
) -> list[Finding]:
    """All findings about the pages at `base_url` (`https://host`).

    `probe_token` is one of `Links.create_probe_token`. `ssl_context` has the trusted
    certificate authorities; the default ones if None.
    """
    url = urlsplit(base_url)
    if url.scheme != "https":
        return [
            error(
                "not_https",
                "The address does not begin with https: mail clients post to https only.",
                "End TLS in a proxy, and set PUBLIC_URL to its https address.",
                "RFC 8058 3.1",
            )
        ]
    verify = ssl_context if ssl_context is not None else httpx.create_ssl_context()
    try:
        with httpx.Client(base_url=base_url, verify=verify, timeout=TIMEOUT_SECONDS) as client:
            return list(_check(client, probe_token, now))
    except (httpx.TransportError, httpx.InvalidURL) as fault:
        return [_unreachable_finding(fault)]


def _check(client: httpx.Client, probe_token: str, now: datetime) -> Iterator[Finding]:
    yield _check_certificate(client, now)
    for name, how in _POST_VARIANTS.items():
        client.cookies.clear()
        response = client.post(f"/u/{probe_token}", **how)  # type: ignore[arg-type]
        yield _check_post(name, response)
        yield from _check_cookie(response)
    yield from _check_page(client, probe_token)
    yield from _check_other_methods(client, probe_token)
    yield from _check_must_fail(client, probe_token)


def _check_certificate(client: httpx.Client, now: datetime) -> Finding:
    """Raises httpx.ConnectError for a certificate that is not trusted."""
    with client.stream("HEAD", "/form") as response:
        stream = response.extensions["network_stream"]
        ends = stream.get_extra_info("ssl_object").getpeercert()["notAfter"]
    left = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) - now
    if left < MIN_CERTIFICATE_VALIDITY:
        return warning(
            "certificate_expiring",
            f"The certificate expires in {left.days} days.",
            "Renew it, and automate renewal: once it has expired every opt-out fails.",
            _PROXY,
        )
    return ok("certificate", f"The certificate is trusted, for {left.days} more days.")


def _check_post(name: str, response: httpx.Response) -> Finding:
    """The finding about one of the posts."""
    status, code = response.status_code, f"post_{name}"
    if response.is_success and response.text.strip() == _SUCCESS_TEXT:
        return ok(code, f"A one-click ({name}) is answered {status}, at once.")
    if response.has_redirect_location or response.is_redirect:
        to = urlsplit(response.headers.get("Location", "")).hostname or "another path"
        return error(
            code,
            f"A one-click ({name}) is redirected ({status}) to {to}: clients don't follow.",
            "Answer it without a redirect: no change of scheme, host, language or slash.",
            _RFC,
        )
    if response.is_success:
        return error(
            code,
            f"A one-click ({name}) is answered {status}, but not by us.",
            "Exempt /u/ from bot checks, caches and maintenance pages. Is this host ours?",
            _PROXY,
        )
    remedy = "Exempt /u/ from what refuses it (a firewall, a bot check, a limit)."
    if status == httpx.codes.NOT_FOUND:
        remedy = "Does this host lead to this installation, and has it the same LINK_KEYS?"
    return error(code, f"A one-click ({name}) is refused: {status}.", remedy, _RFC)


def _check_cookie(response: httpx.Response) -> Iterator[Finding]:
    if "Set-Cookie" in response.headers:
        yield warning(
            "cookie",
            "Something in front of us sets a cookie.",
            "Disable it for our pages: nobody has agreed to it, and it suggests a bot check.",
            "RFC 8058 3.1; ePrivacy Directive 5(3)",
        )


def _check_page(client: httpx.Client, probe_token: str) -> Iterator[Finding]:
    """GET: our page with a button, unchanged."""
    client.cookies.clear()
    response = client.get(f"/u/{probe_token}")
    text = response.text
    if not (response.is_success and 'name="confirm"' in text) or _SUCCESS_TEXT in text:
        yield error(
            "page",
            f"The link does not show our page with a button ({response.status_code}).",
            "Open the link in a browser to see what answers.",
            _PROXY,
        )
        return
    yield ok("page", "The link shows a page with a button; opening it changes nothing.")
    if "<script" in text or 'http-equiv="refresh' in text.lower():
        yield warning(
            "page_changed",
            "Something in front of us adds scripts to the page.",
            "Disable what rewrites pages: they must work without, and must not expose token and"
            " address to others.",
            _PROXY,
        )
    for name, (wanted, harm) in _EXPECTED_HEADERS.items():
        if wanted not in response.headers.get(name, ""):
            yield warning(
                "response_header_missing",
                f"{name} was removed or changed on the way: {harm}.",
                "Configure the proxy to keep our headers.",
                _PROXY,
            )
    yield from _check_cookie(response)
    if "Strict-Transport-Security" not in response.headers:
        yield warning(
            "hsts",
            "Strict-Transport-Security is not set.",
            'Configure the proxy to add it: "max-age=31536000".',
            f"RFC 6797; {_PROXY}",
        )


def _check_other_methods(client: httpx.Client, probe_token: str) -> Iterator[Finding]:
    for method in ("HEAD", "OPTIONS"):
        response = client.request(method, f"/u/{probe_token}")
        if not response.is_success:
            yield warning(
                "method",
                f"{method} is answered {response.status_code}: link scanners consider it broken.",
                f"Allow {method} through to us.",
                "RFC 9110 9.3",
            )


def _check_must_fail(client: httpx.Client, probe_token: str) -> Iterator[Finding]:
    """Requests that must fail."""
    response = client.post(f"/u/{probe_token}x", **_POST_VARIANTS["form"])  # type: ignore[arg-type]
    if response.is_success:
        yield error(
            "any_token",
            "A token that is not ours is answered 2xx too: lost opt-outs go unnoticed.",
            "Pass our 404 through.",
            _PROXY,
        )
    if client.get("/healthz").is_success:
        yield warning(
            "healthz",
            "/healthz is public; it names your tools.",
            "Make it internal.",
            _PROXY,
        )


def _unreachable_finding(exception: Exception) -> Finding:
    if isinstance(exception, httpx.TimeoutException):
        message = f"There is no answer within {TIMEOUT_SECONDS:.0f} seconds."
        return error("timeout", message, "Mail clients do not wait longer, either.", _PROXY)
    cause: BaseException | None = exception
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return error(
                "certificate",
                f"The certificate is not trusted: {cause.verify_message}.",
                "Install one of a public authority, with its chain, for this exact name.",
                "RFC 8058 3.1; RFC 9325",
            )
        cause = cause.__cause__ or cause.__context__
    return error(
        "unreachable",
        "It can't be reached: the name does not exist, or nothing listens there.",
        "Point the name at the proxy, and open port 443.",
        _PROXY,
    )
