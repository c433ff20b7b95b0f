"""A real HTTPS server on this machine, with an authority of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.clock import START


@dataclass
class Site:
    """Where it is, whom to trust for it, and what answers (to be exchanged by a test)."""

    url: str
    authority: Path
    ends: datetime
    """When its certificate does."""
    front: WSGIApplication


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Nothing: its lines hold tokens."""


@contextmanager
def serving(front: WSGIApplication, folder: Path, ends: datetime | None = None) -> Iterator[Site]:
    """Serve until the end of the block; the certificate is valid for 60 days from `START`.

    Or to its `ends`, which may be past.
    """
    ends = ends or max(datetime.now(UTC) + timedelta(days=1), START + timedelta(days=60))
    certificate, key = make_certificate(folder, ends)
    site = Site("", certificate, ends, front)

    def answer(environ: dict[str, Any], respond: Any) -> Any:
        return site.front(environ, respond)

    server = make_server(
        "127.0.0.1",
        0,
        answer,
        threaded=True,
        request_handler=_Quiet,
        ssl_context=(str(certificate), str(key)),
    )
    site.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(folder: Path, ends: datetime) -> tuple[Path, Path]:
    """One that signs itself, so it is its own authority: its file and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(today, START) - timedelta(days=2))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
