"""The WSGI environment (PEP 3333) of an ASGI request."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

_CGI_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def build_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The environment without `wsgi.input`.

    A header whose name has an underscore is dropped: its CGI name is the same as that of the
    header with a hyphen, so that any client could forge a proxy's X-Forwarded-For.
    """
    server, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = _CGI_NAMES.get(name) or f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        text = value.decode("latin-1")
        before = environ.get(key)
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = text if before is None else f"{before}{separator}{text}"
    return environ


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether a body follows the header (RFC 9112 6; in HTTP/2 the header may not state it)."""
    if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
        return True
    http2 = environ["SERVER_PROTOCOL"] not in {"HTTP/1", "HTTP/1.0", "HTTP/1.1"}
    return http2 and environ["REQUEST_METHOD"] not in _SAFE_METHODS


def content_length(environ: Mapping[str, Any]) -> int | None:
    """Content-Length in bytes, if given; the server has checked its syntax."""
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isdecimal() else None
