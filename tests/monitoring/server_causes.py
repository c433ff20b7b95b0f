"""Causes of incidents of the servers that the service needs: certificates, limits, disks."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from socket import SHUT_RDWR, create_server, socket
from types import SimpleNamespace

import psycopg
import pytest
from cryptography import x509

from preference_center.infra.db.error_causes import classify_error, unavailable_error
from preference_center.infra.redis import connect_redis
from preference_center.monitoring import measure
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.integrations.base.tls_servers import certificate
from tests.monitoring.causes import send_emails
from tests.monitoring.scene import TICK, Scene
from tests.redis_servers import own_valkey


def expired(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate for 127.0.0.1 that was valid until yesterday."""
    names: list[x509.GeneralName] = [x509.IPAddress(ip_address("127.0.0.1"))]
    public, private = certificate(names, days=-1)
    (folder / "cert.pem").write_bytes(public)
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def expired_mail_server(scene: Scene) -> None:
    context = expired(scene.folder)
    scene.patch.setenv("SSL_CERT_FILE", str(scene.folder / "cert.pem"))
    port = scene.at_the_end.enter_context(run_smtp_stub(SmtpStub(), tls_context=context))
    send_emails(scene, f"smtp://127.0.0.1:{port}")


def expired_database(scene: Scene) -> None:
    fails(scene, attempt(scene.folder))


def full_database(scene: Scene) -> None:
    fails(scene, psycopg.errors.DiskFull("could not extend file"))


def fails(scene: Scene, error: psycopg.Error) -> None:
    """Each transaction fails with it."""
    cause = classify_error(error)
    assert cause is not None

    def refuse(_work: object) -> None:
        raise unavailable_error(cause, error)

    scene.patch.setattr(measure, "run_in_transaction", refuse)
    scene.series[TICK] = "0x40"


def attempt(folder: Path) -> psycopg.Error:
    """What libpq says of a server whose certificate has expired."""
    with postgres_tls(expired(folder)) as port:
        where = f"host=127.0.0.1 port={port} user=app dbname=app"
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(f"{where} sslmode=verify-full sslrootcert={folder}/cert.pem")
    return caught.value


@contextmanager
def postgres_tls(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that does what PostgreSQL does first: it agrees to TLS."""

    def answer(listener: socket) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                with accepted:
                    accepted.recv(8)  # SSLRequest: PostgreSQL, "Message Formats"
                    accepted.sendall(b"S")
                    with suppress(OSError):
                        context.wrap_socket(accepted, server_side=True).close()

    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(SHUT_RDWR)
        thread.join()


def redis_without_connections(scene: Scene) -> None:
    valkey = scene.at_the_end.enter_context(own_valkey())
    scene.use(redis_url=valkey.url)
    connection = scene.at_the_end.enter_context(connect_redis(valkey.url))
    connection.config_set("maxclients", 1)


def redis_replica(scene: Scene) -> None:
    valkey = scene.at_the_end.enter_context(own_valkey())
    scene.use(redis_url=valkey.url)
    with connect_redis(valkey.url) as connection:
        connection.config_set("replica-serve-stale-data", "yes")
        connection.execute_command("REPLICAOF", "127.0.0.1", "1")


def full_disk(scene: Scene) -> None:
    scene.patch.setattr(measure, "_list_folders", lambda: [("spool", scene.spool.path)])
    nearly_full = SimpleNamespace(total=100, free=9)
    scene.patch.setattr("shutil.disk_usage", lambda _: nearly_full)
