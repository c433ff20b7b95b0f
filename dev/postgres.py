"""PostgreSQL of our own."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
from psycopg import sql

from dev.accounts import remove, write_private
from dev.binaries import Program, find_postgres
from dev.server import Server, State

USER = "preference_center"

# What a crash of the machine may cost in tests: all of it. Faster by far.
FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres(Server):
    """A PostgreSQL cluster with one superuser, `USER`, and scram passwords."""

    name = "postgres"
    # fast shutdown, immediate shutdown, and what no program can refuse
    stop_signals = ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10))

    @property
    def url(self) -> str:
        """`postgresql://` address of the service's database."""
        return self.url_of(USER)

    def url_of(self, database: str) -> str:
        """`postgresql://` address of any database of this cluster."""
        state = self.state
        return f"postgresql://{USER}:{state.password}@127.0.0.1:{state.port}/{database}"

    def start(self) -> None:
        """Start, and make the service's database if it is not there yet."""
        super().start()
        make_database(self.url_of("postgres"), USER)

    def _prepare(self, state: State) -> list[str | Path]:
        version_file = self.data / "PG_VERSION"
        major = int(version_file.read_text()) if version_file.exists() else None
        program = find_postgres(self.account, self.folder.parent / "bin", major=major)
        if major is None:
            self._init(program, state)
        settings = [
            f"port={state.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",  # a long path of a checkout would break it
            "max_connections=200",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else FORGETFUL),
        ]
        options = [part for setting in settings for part in ("-c", setting)]
        return [program.path, "-D", self.data, *options]

    def _init(self, program: Program, state: State) -> None:
        """Make a cluster in a folder aside, so that one cut short is never taken for whole."""
        draft = self.folder / f"{self.name}.draft"
        remove(draft)
        draft.mkdir(mode=0o700)
        password = draft.with_suffix(".password")
        write_private(password, state.password)
        self.account.give(password)
        self.account.give(draft)
        command: list[str | Path] = [program.beside("initdb"), "-D", draft, "--username", USER]
        # the same order and letters on every machine
        command += ["--auth=scram-sha-256", "--pwfile", password, "--encoding=UTF8", "--locale=C"]
        try:
            self.account.run([*command, *(() if self.durable else ("--no-sync",))], cwd=self.folder)
        finally:
            password.unlink()
        remove(self.data)
        draft.rename(self.data)

    @property
    def _markers(self) -> tuple[str, ...]:
        return (f"-D {self.data} ",)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def make_database(url: str, name: str, template: str = "template1") -> None:
    """Make the database `name` on the server of `url` as a copy of `template`, unless there."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
