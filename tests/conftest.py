"""Fixtures for everybody. Nothing is started before a test asks for it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dev.engines import Engines, for_test
from tests import ci, order
from tests.clock import START, Clock
from tests.environment import (
    Emptying,
    Environment,
    connecting_within,
    link_clicks_within,
    patient_timeouts,
    settings_for,
)
from tests.restricted import restrict

if TYPE_CHECKING:  # so that tests of the domain don't wait for Flask
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.infra.config import Settings

ENVIRONMENT = pytest.StashKey[Environment]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ENVIRONMENT] = Environment.of(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by pytest-xdist in the controller, before it starts a worker."""
    node.config.stash[ENVIRONMENT].tell(node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Called by pytest-xdist for `-n auto`."""
    return order.workers()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter of bytes by its argument; pytest numbers those of one name.

    Bytes may differ from one process to the next (gzip writes the second into its header),
    and pytest-xdist runs nothing if two workers collect different ids.
    """
    return argname if isinstance(val, bytes) else None


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """The thousands of collected tests live to the end: don't search them for garbage."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {path: rank for rank, path in enumerate(order.dealt(item.path for item in items))}
    items.sort(key=lambda item: ranks[item.path])
    for item in items:
        if order.is_in_browser(item.path):
            item.add_marker(pytest.mark.browser)
        elif order.is_slow(item.path, item.name):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    outcome: Any = yield
    if ci.is_active():
        ci.fail_if_skipped(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    outcome: Any = yield
    if ci.is_active():
        ci.fail_if_skipped(outcome.get_result())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    of_a_worker = hasattr(session.config, "workerinput")
    if ci.is_active() and exitstatus == pytest.ExitCode.TESTS_FAILED and not of_a_worker:
        ci.finish(session)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[ENVIRONMENT].end()


@pytest.fixture(scope="session")
def environment(pytestconfig: pytest.Config) -> Environment:
    return pytestconfig.stash[ENVIRONMENT]


@pytest.fixture(scope="session")
def engines(environment: Environment) -> Engines:
    """The engines that all tests share: never to be stopped, nor FLUSHALL sent."""
    return environment.start()


@pytest.fixture
def own_engines() -> Iterator[Engines]:
    """Engines of this test alone, to stop, kill and restart. The database has no tables yet."""
    with for_test(environ={}) as engines:
        yield engines


@pytest.fixture(scope="session")
def database_url(engines: Engines, environment: Environment) -> str:
    """This worker's PostgreSQL database, migrated, as the service's role. See `clean`."""
    return environment.database_url()


@pytest.fixture(scope="session")
def redis_url(engines: Engines, environment: Environment) -> Iterator[str]:
    """This worker's Redis database, which may take its time on a busy machine.

    Else a limiter that finds it slow would count in its own process, and a queue drop a message.
    """
    from preference_center.destinations import token_buckets
    from preference_center.infra import job_queue, redis

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis, "REDIS_TIMEOUT_SECONDS", 30.0)
        patch.setattr(token_buckets, "REDIS_TIMEOUT", 30.0)
        patch.setattr(job_queue, "NUDGE_TIMEOUT_SECONDS", 30.0)
        yield environment.redis_url()


@pytest.fixture(scope="session")
def admin_url(environment: Environment, database_url: str) -> str:
    """The database of `database_url` as its superuser, for what an operator or a fault does."""
    return environment.admin_url


@pytest.fixture(scope="session")
def _emptying(admin_url: str, redis_url: str) -> Iterator[Emptying]:
    with Emptying(admin_url, redis_url) as emptying:
        yield emptying


@pytest.fixture
def clean(_emptying: Emptying) -> None:
    """Begin with empty tables and an empty Redis."""
    _emptying()


@pytest.fixture(scope="session")
def settings(environment: Environment, database_url: str, redis_url: str) -> Settings:
    settings = settings_for(environment.service_url(database_url), redis_url)
    if not os.environ.get("TEST_RESTRICTED"):
        return settings
    return restrict(settings, environment.engines.database.url, environment.restricted_role)


@pytest.fixture(scope="session")
def _session_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(_session_clock: Clock) -> Clock:
    """The clock that `app` goes by, at `START` again."""
    _session_clock.now = START
    return _session_clock


@pytest.fixture(scope="session")
def _session_app(settings: Settings, _session_clock: Clock) -> Iterator[Flask]:
    from preference_center.app.web import create_app
    from preference_center.infra.context import db

    patient = patient_timeouts()
    with connecting_within(60), link_clicks_within(patient):
        app = create_app(settings, now=_session_clock, timeouts=patient)
        app.testing = True
        yield app
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(_session_app: Flask, clock: Clock, clean: None) -> Flask:
    """The service on empty tables, going by `clock`."""
    from preference_center.catalogue.store import clear_catalogue_cache
    from preference_center.destinations.receive import KNOWN_DESTINATIONS_KEY
    from preference_center.infra.context import EXTENSION_NAME
    from preference_center.infra.db import connections
    from preference_center.infra.keys.link_keys import clear_link_cache
    from preference_center.ledger import history_loss
    from preference_center.ledger.spool import recorder
    from preference_center.monitoring.gauges import EXTENSION_KEY as COLLECTORS_KEY
    from preference_center.monitoring.probes import LATE_CACHE_KEY
    from preference_center.web.api.keys import EXTENSION_KEY as USAGE_KEY

    _session_app.extensions[EXTENSION_NAME].limiter.reset()
    # A command of another test may have left a spool.
    for cache in (
        KNOWN_DESTINATIONS_KEY,
        LATE_CACHE_KEY,
        USAGE_KEY,
        recorder.EXTENSION_KEY,
        history_loss.EXTENSION_KEY,
        connections.EXTENSION_NAME,
        COLLECTORS_KEY,
    ):
        _session_app.extensions.pop(cache, None)
    with _session_app.app_context():
        clear_catalogue_cache()
        clear_link_cache()
    return _session_app


@pytest.fixture
def in_context(app: Flask) -> Iterator[None]:
    """In the context of `app`, with the small catalogue in force."""
    from tests.in_force import put_in_force

    put_in_force(app)
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
