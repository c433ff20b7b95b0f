"""PostgreSQL of our own."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
from psycopg import sql

from dev.accounts import remove, write_private
from dev.binaries import Program, find_postgres
from dev.server import Server, State, free_port

USER = "preference_center"

# What a crash of the machine may cost in tests: all of it. Faster by far. Not
# synchronous_commit, without which no process of ours begins; it costs little next to these.
FORGETFUL = ("fsync=off", "full_page_writes=off")


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

    @property
    def standby(self) -> bool:
        """Whether it follows another server, and so takes no writes."""
        return (self.data / "standby.signal").exists()

    def start(self) -> None:
        """Start, and make the service's database if it is not there yet."""
        super().start()
        if not self.standby:
            make_database(self.url_of("postgres"), USER)

    def follow(self, primary: Postgres) -> None:
        """Replace all it holds by a copy of `primary`, and stream from it as its standby.

        Both have the same account and password afterwards.
        """
        self.stop()
        port = self.state.port if self._state_file.exists() else free_port()
        self._save(State(port, primary.state.password))
        draft = self.folder / f"{self.name}.draft"
        remove(draft)
        draft.mkdir(mode=0o700)
        self.account.give(draft)
        source = f"host=127.0.0.1 port={primary.state.port} user={USER} passfile={self._passfile()}"
        copy = primary.program.sibling("pg_basebackup")
        command: list[str | Path] = [copy, "-D", draft, "-d", source]
        # -R writes where it streams from, the file of the password included
        command += ["-R", "-X", "stream", "-c", "fast", *(() if self.durable else ("--no-sync",))]
        self.account.run(command, cwd=self.folder)
        remove(self.data)
        draft.rename(self.data)
        self.start()

    def promote(self) -> None:
        """Make a standby take writes. The server that it followed must have ended before."""
        control = self.program.sibling("pg_ctl")
        self.account.run([control, "promote", "-D", self.data, "-w"], cwd=self.folder)

    @property
    def program(self) -> Program:
        """The server's program: of the version that made the data, if there are any."""
        version_file = self.data / "PG_VERSION"
        major = int(version_file.read_text()) if version_file.exists() else None
        return find_postgres(self.account, self.folder.parent / "bin", major=major)

    def _prepare(self, state: State) -> list[str | Path]:
        program = self.program
        if not (self.data / "PG_VERSION").exists():
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

    def _passfile(self) -> Path:
        """A file with the password: on a command line everybody could read it."""
        path = self.folder / f"{self.name}.pgpass"
        write_private(path, f"127.0.0.1:*:*:{USER}:{self.state.password}\n")
        self.account.give(path)
        return path

    def _init(self, program: Program, state: State) -> None:
        """Make a cluster in a folder aside, so that one cut short is never taken for whole."""
        draft = self.folder / f"{self.name}.draft"
        remove(draft)
        draft.mkdir(mode=0o700)
        password = draft.with_suffix(".password")
        write_private(password, state.password)
        self.account.give(password)
        self.account.give(draft)
        command: list[str | Path] = [program.sibling("initdb"), "-D", draft, "--username", USER]
        # the same order and characters on every machine
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
