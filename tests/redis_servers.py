"""Valkey as companies run it: behind TLS, with replicas that Sentinel watches, as a cluster."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import RedisError

from dev.accounts import write_private
from dev.binaries import find_valkey
from dev.engines import for_test
from dev.server import State, free_port
from dev.valkey import Valkey

SERVICE = "queue"


class Replica(Valkey):
    """Follows another server."""

    name = "valkey-replica"
    primary: State

    def _settings(self, state: State) -> list[str]:
        port, password = self.primary.port, self.primary.password
        follow = [f"replicaof 127.0.0.1 {port}", f"masterauth {password}"]
        return [*super()._settings(state), f"requirepass {password}", *follow]

    def _answers(self) -> bool:
        """Whether it has caught up."""
        try:
            with self.client() as client:
                return bool(client.info("replication").get("master_link_status") == "up")
        except RedisError:
            return False

    def client(self) -> Redis:
        return Redis(port=self.state.port, password=self.primary.password, socket_timeout=5)


class SentinelServer(Valkey):
    """Watches a server and its replicas, and has one take over within a second or two."""

    name = "valkey-sentinel"
    primary: State

    def _prepare(self, state: State) -> list[str | Path]:
        program = find_valkey(self.account, self.folder.parent / "bin")
        self.data.mkdir(mode=0o700, exist_ok=True)
        write_private(self._config, "\n".join(self._settings(state)))
        self.account.give(self.data)
        return [program.path, self._config, "--sentinel"]

    def _settings(self, state: State) -> list[str]:
        return [
            "bind 127.0.0.1",
            f"port {state.port}",
            f'dir "{self.data}"',
            f"requirepass {state.password}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 1",
            f"sentinel auth-pass {SERVICE} {self.primary.password}",
            f"sentinel down-after-milliseconds {SERVICE} 2000",
            f"sentinel failover-timeout {SERVICE} 2000",
        ]

    @property
    def service_url(self) -> str:
        """How the service is told of it."""
        password, own = self.primary.password, self.state
        host = f"127.0.0.1:{own.port}"
        return f"redis+sentinel://:{password}@{host}/{SERVICE}/0?sentinel_password={own.password}"

    def _answers(self) -> bool:
        """Whether it knows the replica."""
        try:
            with Redis(port=self.state.port, password=self.state.password) as client:
                return bool(client.sentinel_slaves(SERVICE))
        except RedisError:
            return False


class ClusterNode(Valkey):
    """A node of a cluster."""

    name = "valkey-cluster"

    def _settings(self, state: State) -> list[str]:
        return [*super()._settings(state), "cluster-enabled yes", f"cluster-port {free_port()}"]

    def _answers(self) -> bool:
        try:
            with Redis(port=self.state.port, password=self.state.password) as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def behind_tls(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """A port that relays to `port` of this host by TLS, and the certificate to trust."""
    certificate, key = _make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, context, port), daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):
        while True:
            accepted, _ = listener.accept()
            threading.Thread(target=_relay, args=(accepted, context, port), daemon=True).start()


def _relay(accepted: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        suppress(OSError),
        context.wrap_socket(accepted, server_side=True) as client,
        socket.create_connection(("127.0.0.1", port)) as server,
        selectors.DefaultSelector() as selector,
    ):
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for ready, _ in selector.select():
                assert isinstance(ready.fileobj, socket.socket)
                data = ready.fileobj.recv(1 << 16)  # more than a record of TLS
                if not data:
                    return
                ready.data.sendall(data)


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


@contextmanager
def own_valkey() -> Iterator[Valkey]:
    """A Valkey that no other test uses, in a folder for more."""
    engines = for_test(environ={})
    assert isinstance(engines.redis, Valkey)
    engines.redis.start()
    yield engines.redis
    engines.release()
