"""The built image with servers of its own: `make test-image` builds it first."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dev.engines import for_test
from dev.maintenance.image import configuration, missing, root_file_system
from dev.server import free_port
from tests.image.container import Container, Image
from tests.image.service import Service
from tests.in_force import CATALOGUE


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image with a root file system of its own."""
    if "TEST_IMAGE" not in os.environ:
        pytest.skip("make test-image builds the image and starts it")
    if reason := missing():
        pytest.skip(reason)
    found = configuration()
    spool = tmp_path_factory.mktemp("spool")
    os.chown(spool, *map(int, found["User"].split(":")))
    with root_file_system() as root:
        yield Image(root, found, spool)


@pytest.fixture(scope="session")
def service(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The image with keys, a migrated database and a catalogue, all made by its own commands."""
    keys = image.command("keys", "generate", environ={})
    port = free_port()
    with for_test(environ={}) as engines:
        environ = dict(line.split("=", 1) for line in keys.splitlines()) | {
            "DATABASE_URL": engines.database.url,
            "REDIS_URL": engines.redis.url,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
            "INTERNAL_PORT": str(free_port()),
            "PHONE_REGION": "IT",
            "TIME_ZONE": "Europe/Rome",
            "SPOOL_DIR": "/var/lib/preference-center/spool",
        }
        service = Service(image, environ, tmp_path_factory.mktemp("logs"))
        service.command("db", "upgrade")
        service.command("catalogue", "apply", "-", text=CATALOGUE)
        yield service


@pytest.fixture(scope="session")
def web(service: Service) -> Iterator[Container]:
    """`docker run IMAGE`, serving."""
    with service.start() as container:
        service.wait_until_ready(container)
        yield container
