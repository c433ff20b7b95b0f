"""Real servers, really stopped and killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from dev.accounts import data_folder, server_account
from dev.binaries import find_valkey
from dev.engines import CHECKOUT, EngineError, Engines, Foreign, at, for_run, for_test
from dev.processes import command_line, wait_until
from dev.server import Server

SUPERVISOR = """
import signal, sys
from pathlib import Path
from dev.engines import for_run
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` leaves it ignored
engines = for_run(Path(sys.argv[1]), environ={}).start()
print("up", flush=True)
signal.pause()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout with engines of its own; for root it lies where `nobody` can't go."""
    yield tmp_path
    folder = data_folder(tmp_path, server_account())
    if (folder / "run").exists():
        at(folder / "run", durable=True, environ={}).stop()
    shutil.rmtree(folder)


@pytest.fixture
def run(checkout: Path) -> Iterator[Engines]:
    with for_run(checkout, environ={}) as engines:
        yield engines


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    """Engines that tests look at and leave as they are."""
    with for_test(environ={}) as engines:
        yield engines


def write(engines: Engines, word: str) -> None:
    with psycopg.connect(engines.database.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])
    with Redis.from_url(engines.redis.url) as client:
        client.rpush("words", word)


def read(engines: Engines) -> tuple[list[str], list[str]]:
    with psycopg.connect(engines.database.url) as connection:
        rows = connection.execute("SELECT word FROM words").fetchall()
    with Redis.from_url(engines.redis.url, decode_responses=True) as client:
        kept = client.lrange("words", 0, -1)
    return [word for (word,) in rows], list(kept)


def servers(engines: Engines) -> list[Server]:
    found = [engines.database, engines.redis]
    return [server for server in found if isinstance(server, Server)]


def pid_of(server: Server) -> int:
    pid = server.state.pid
    assert pid is not None
    return pid


def appended(engines: Engines) -> None:
    """Wait until Valkey has its append-only file on the disk."""
    with Redis.from_url(engines.redis.url) as client:
        assert wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0, 10)


def test_a_restart_keeps_data_and_address(run: Engines) -> None:
    write(run, "kept")
    before = run.database.url, run.redis.url
    run.database.restart()
    run.redis.restart()
    assert (run.database.url, run.redis.url) == before
    assert read(run) == (["kept"], ["kept"])


def test_a_second_run_finds_data_and_address_again(checkout: Path) -> None:
    with for_run(checkout, environ={}) as first:
        write(first, "kept")
        before = first.database.url, first.redis.url
    with for_run(checkout, environ={}) as second:
        assert read(second) == (["kept"], ["kept"])
        assert (second.database.url, second.redis.url) == before


@pytest.mark.faults
def test_data_survives_the_death_of_the_servers(run: Engines) -> None:
    write(run, "kept")
    appended(run)
    run.database.kill()
    run.redis.kill()
    assert not run.database.running
    assert not run.redis.running
    run.start()
    assert read(run) == (["kept"], ["kept"])


@pytest.mark.faults
def test_servers_left_by_a_killed_supervisor_are_stopped_and_their_data_found(
    checkout: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, checkout], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"up\n"
        left = at(data_folder(checkout, server_account()) / "run", durable=True, environ={})
        write(left, "kept")
        pids = [pid_of(server) for server in servers(left)]
        supervisor.kill()
    assert all(server.running for server in servers(left))

    with for_run(checkout, environ={}) as engines:
        assert not any(command_line(pid) for pid in pids)
        assert read(engines) == (["kept"], ["kept"])
    assert not any(server.running for server in servers(engines))


@pytest.mark.faults
def test_any_process_can_stop_a_server_and_its_supervisor_can_start_it_again(run: Engines) -> None:
    other = at(run.folder, durable=True, environ={})
    address = run.redis.url
    other.redis.stop()
    # Its command line is gone a moment before its end can be waited for.
    assert wait_until(lambda: not run.redis.running, 10)
    run.redis.start()
    assert run.redis.url == address
    assert other.redis.running


def test_start_and_stop_may_be_repeated(run: Engines) -> None:
    pids = [pid_of(server) for server in servers(run)]
    run.start()
    assert [pid_of(server) for server in servers(run)] == pids
    run.stop()
    run.stop()
    assert not any(server.running for server in servers(run))


def test_stopping_leaves_no_process(run: Engines) -> None:
    with psycopg.connect(run.database.url) as connection:
        backend = connection.info.backend_pid
    pids = [backend, *(pid_of(server) for server in servers(run))]
    run.stop()
    assert wait_until(lambda: not any(command_line(pid) for pid in pids), 10)


def test_a_folder_has_one_supervisor(checkout: Path, run: Engines) -> None:
    with pytest.raises(EngineError, match="stop it first"):
        for_run(checkout, environ={})


def test_a_port_taken_meanwhile_is_replaced(checkout: Path) -> None:
    with for_run(checkout, environ={}) as first:
        taken = [server.state.port for server in servers(first)]
    thieves = [socket.create_server(("127.0.0.1", port)) for port in taken]
    with for_run(checkout, environ={}) as second:
        assert not {server.state.port for server in servers(second)} & set(taken)
        write(second, "reached")
    for thief in thieves:
        thief.close()


def test_a_process_id_that_is_now_anothers_is_left_alone(checkout: Path) -> None:
    engines = for_run(checkout, environ={})
    for server in servers(engines):
        stale = {"port": 1, "password": "x", "pid": os.getpid()}
        (engines.folder / f"{server.name}.json").write_text(json.dumps(stale))
        assert not server.running
        server.stop()
    engines.release()


def test_runs_of_tests_have_engines_of_their_own(checkout: Path) -> None:
    with for_test(checkout, environ={}) as first, for_test(checkout, environ={}) as second:
        assert first.folder != second.folder
        write(first, "mine")
        write(second, "yours")
        assert read(first) == (["mine"], ["mine"])
    again = for_test(checkout, environ={})
    assert again.folder == first.folder
    assert not (again.folder / "postgres").exists()
    again.release()


def test_a_password_is_demanded(engines: Engines) -> None:
    database, redis = servers(engines)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(engines.database.url.replace(database.state.password, "guess"))
    wrong = Redis(port=redis.state.port, password="guess")
    with wrong as client, pytest.raises(AuthenticationError):
        client.ping()


def test_passwords_and_data_are_for_the_owner_only(engines: Engines) -> None:
    for server in servers(engines):
        assert (engines.folder / f"{server.name}.json").stat().st_mode & 0o777 == 0o600
        assert server.data.stat().st_mode & 0o777 == 0o700
        assert server.state.password not in command_line(pid_of(server))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody to become")
def test_root_becomes_nobody(engines: Engines) -> None:
    for server in servers(engines):
        owner = Path(f"/proc/{pid_of(server)}").stat().st_uid
        assert owner == server_account().uid != 0


def test_only_the_loopback_is_listened_on(engines: Engines) -> None:
    with psycopg.connect(engines.database.url) as connection:
        row = connection.execute("SHOW listen_addresses").fetchone()
    assert row == ("127.0.0.1",)
    with Redis.from_url(engines.redis.url, decode_responses=True) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_servers_named_in_the_environment_are_used_and_left_alone(
    checkout: Path, engines: Engines
) -> None:
    environ = {"DATABASE_URL": engines.database.url, "REDIS_URL": engines.redis.url}
    with for_run(checkout, environ) as foreign:
        assert foreign.database == Foreign(engines.database.url)
        assert foreign.redis == Foreign(engines.redis.url)
        stop: Callable[[], None] = foreign.redis.stop
        with pytest.raises(EngineError, match="not ours"):
            stop()
    assert engines.database.running
    assert engines.redis.running


def test_data_of_another_postgresql_version_is_not_touched(checkout: Path) -> None:
    engines = for_run(checkout, environ={})
    data = engines.folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EngineError, match=r"PostgreSQL 9.*clean-data"):
        engines.start()
    engines.release()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_server_that_does_not_start_reports_why(checkout: Path) -> None:
    engines = for_run(checkout, environ={}).start()
    engines.stop()
    with (engines.folder / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(EngineError, match="no_such_setting"):
        engines.start()
    engines.release()


def test_ctrl_c_stops_the_servers(checkout: Path) -> None:
    script = SUPERVISOR.replace("engines = for_run", "with for_run").replace(
        ".start()\n", " as engines:\n    "
    )
    script = script.replace("\nsignal.pause", "\n    signal.pause")
    with subprocess.Popen(
        [sys.executable, "-c", script, checkout],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"up\n"
        left = at(data_folder(checkout, server_account()) / "run", durable=True, environ={})
        assert all(server.running for server in servers(left))
        supervisor.send_signal(signal.SIGINT)
    assert not any(server.running for server in servers(left))


def install(checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """Put a program first on the PATH, where also `nobody` can run it."""
    folder = data_folder(checkout, server_account()) / "installed"
    folder.mkdir(mode=0o755, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return program


def test_a_redis_installed_later_begins_empty(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with for_run(checkout, environ={}) as first:
        write(first, "kept")
        appended(first)
        old = find_valkey(server_account(), first.folder.parent / "bin").path
    cannot_read = (
        f'grep -q "" {first.folder}/valkey/appendonlydir/* && echo Bad file format && exit 1'
    )
    title = '[ "$1" = --version ] && echo "Valkey server v=99.1.0 sha=0" && exit'
    install(checkout, monkeypatch, "valkey-server", f'{title}\n{cannot_read}\nexec {old} "$@"')
    with for_run(checkout, environ={}) as second:
        assert read(second) == (["kept"], [])
        write(second, "new")


def test_a_postgresql_installed_later_leaves_the_data_to_the_one_that_made_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with for_run(checkout, environ={}) as first:
        write(first, "kept")
    for name in ("postgres", "initdb"):
        install(checkout, monkeypatch, name, 'echo "postgres (PostgreSQL) 99.1"')
    with for_run(checkout, environ={}) as second:
        assert read(second)[0] == ["kept"]


def test_data_of_a_postgresql_that_is_gone_is_explained(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with for_run(checkout, environ={}) as first:
        pass
    (first.folder / "postgres/PG_VERSION").write_text("9\n")
    with (
        pytest.raises(EngineError, match="no PostgreSQL 9, which made the data here"),
        for_run(checkout, environ={}),
    ):
        pass
