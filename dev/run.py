"""`make run` and `preference-center run`: the service with a demo to click through.

Engines, keys, tables, demo data, then the processes that the Procfile names, and two stand-in
tools. Ctrl-C stops all of it. What it needs it keeps in a folder,
`.data/run` of the checkout unless `--data-in` names another place.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import click
import httpx
import redis
import rq

from dev.demo.acts import REPLIES
from dev.demo.clock import Clock
from dev.demo.files import FOLDER, Files
from dev.demo.mails import MESSAGE_TYPE, Mail, capture
from dev.demo.seeding import seed
from dev.engines import CHECKOUT, Engines, Foreign, for_run, forget
from dev.errors import EngineError
from dev.places import DATA_IN, FORGET, RUN
from dev.ports import HOST, Ports
from dev.supervisor import Supervisor
from preference_center.__main__ import PROGRAM, process_environment, read_procfile
from preference_center.app.web import create_app
from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import db
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.files import IS_INSTALLED

PORT = 8000
TOOLS_ABOVE = 100
"""The stand-in tools listen this much above the site."""
PATIENCE = 150.0
"""Seconds until everything must answer."""

MAILBOX_ABOVE = 200
"""So does the mailbox that our own mail goes to."""

INTERNAL_PORT = "INTERNAL_PORT"
"""If set, the internal port of `web`; the other processes of the Procfile have the next ones."""

SHOPS_ABOVE = 300
"""And the two shops that use the consent tool."""

CONSOLE_ABOVE = 400
"""And the console."""

COMPANY = {
    "PHONE_REGION": "IT",
    "TIME_ZONE": "Europe/Rome",
    "REPLY_ADDRESSES": REPLIES,
}
"""Settings of the demo's company; elsewhere the first two must be set."""

COMMANDS = (
    "DATABASE_URL",
    "REDIS_URL",
    "PUBLIC_URL",
    "CONSOLE_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "SPOOL_DIR",
    "FILE_DROP_ROOT",
    *COMPANY,
)
"""Settings that the service's commands need, besides its keys."""

MAILBOX = "python -m dev.mailbox --port {port}"
TOOLS = (
    "granian --interface wsgi --host {host} --port {port} --workers 1 --blocking-threads 4"
    " --no-access-log dev.tools:app"
)
SHOPS = TOOLS.replace("dev.tools:app", "dev.shops:app")


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C, SIGTERM or the end of the terminal; the exit code."""
    parser = argparse.ArgumentParser(prog=RUN, description=__doc__)
    parser.add_argument("--data-in", type=Path, default=DATA_IN, help="folder that holds .data")
    parser.add_argument("--forget", action="store_true", help="delete that data and start nothing")
    options = parser.parse_args(arguments)
    options.data_in.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if options.forget:
            print(f"Deleted {forget(options.data_in)}")
            return 0
        print("Starting PostgreSQL, Valkey and the service ...", flush=True)
        with for_run(options.data_in) as engines:
            _run(engines)
    except KeyboardInterrupt:
        print(
            f"Stopped. Your data is kept; `{RUN}` finds it again, `{FORGET}` deletes it.",
            flush=True,
        )
        return 0
    except (EngineError, PreferenceCenterError, click.ClickException) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Begin to stop, once: anyone who is impatient must not leave programs behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def _run(engines: Engines) -> None:
    begin = time.monotonic()
    files = Files(engines.folder)
    environ = _environ(engines, files)
    with Supervisor(files.processes, CHECKOUT) as supervisor, Ports() as ports:
        port, tools_port, mailbox_port, shops_port, console_port = _take_ports(ports, files)
        environ |= {
            "HOST": HOST,
            "PORT": str(port),
            "PUBLIC_URL": f"http://{HOST}:{port}",
            "CONSOLE_PORT": str(console_port),
            "CONSOLE_URL": f"http://{HOST}:{console_port}",
            "DEV_TOOLS_URL": f"http://{HOST}:{tools_port}",
            "DEV_SHOPS_URL": f"http://{HOST}:{shops_port}",
            "DEV_OWN_REDIS": "0" if isinstance(engines.redis, Foreign) else "1",
            **COMPANY,
            "SMTP_URL": f"smtp://{HOST}:{mailbox_port}?starttls=0",
            "MAIL_FROM": "Demo <choices@example.com>",
        }
        os.environ.update(environ)
        settings = files.keys() | {name: environ[name] for name in COMMANDS}
        commands = files.keep_environment(settings | {"CONNECTORS_ALLOW_PRIVATE": "1"})
        key, mail = _prepare(files, environ["DEV_TOOLS_URL"], shops_port)
        ports.release()
        supervisor.start("tools", TOOLS.format(host=HOST, port=tools_port), environ)
        supervisor.start("shops", SHOPS.format(host=HOST, port=shops_port), environ)
        supervisor.start("mailbox", MAILBOX.format(port=mailbox_port), environ)
        _start(supervisor, environ)
        _await(supervisor, environ)
        supervisor.note()
        took = time.monotonic() - begin
        print(_banner(environ, key, mail, commands, took), flush=True)
        _open_browser(f"{environ['PUBLIC_URL']}/dev")
        while (name := supervisor.ended()) is None:
            time.sleep(0.2)
        raise EngineError(f"{name} ended by itself; see its output above")


def _environ(engines: Engines, files: Files) -> dict[str, str]:
    """The environment of all processes but for the addresses."""
    return {
        **process_environment(os.environ),
        **files.keys(),
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": engines.database.url,
        "REDIS_URL": engines.redis.url,
        "SPOOL_DIR": str(files.folder / "spool"),
        "FILE_DROP_ROOT": str(files.folder),
        FOLDER: str(files.folder),
    }


def _take_ports(ports: Ports, files: Files) -> tuple[int, int, int, int, int]:
    """Those of the site, the stand-in tools, the mailbox, the shops and the console.

    The stated ones of INTERNAL_PORT first: the others may be elsewhere.
    """
    if first := os.environ.get(INTERNAL_PORT):
        ports.take_row(int(first), [*read_procfile()], INTERNAL_PORT)
    site = int(os.environ.get("PORT") or files.site_port() or PORT)
    port = ports.take(site, "the site", "PORT")
    files.keep_site_port(port)
    return (
        port,
        ports.take(port + TOOLS_ABOVE, "the stand-in tools", f"PORT + {TOOLS_ABOVE}"),
        ports.take(port + MAILBOX_ABOVE, "the mailbox", f"PORT + {MAILBOX_ABOVE}"),
        ports.take(port + SHOPS_ABOVE, "the shops", f"PORT + {SHOPS_ABOVE}"),
        ports.take(port + CONSOLE_ABOVE, "the console", f"PORT + {CONSOLE_ABOVE}"),
    )


def _prepare(files: Files, tools_url: str, shops_port: int) -> tuple[str, Mail]:
    """Fill the database and capture a mail; the API key and the mail."""
    clock = Clock()
    app = create_app(now=clock, timeouts=COMMAND_TIMEOUTS)
    with app.app_context():
        key = seed(files, tools_url, shops_port, clock)
        mail = capture(files)
        db.engine.dispose()
    return key, mail


def _start(supervisor: Supervisor, environ: Mapping[str, str]) -> None:
    """Start what the Procfile names; after what it talks to, which is thus stopped last."""
    commands = read_procfile()
    own = {
        "web": {"WEB_APP": "dev.site:server"},
        "console": {"WEB_APP": "dev.site:server"},
        "worker": {"CONNECTORS_ALLOW_PRIVATE": "1"},
        "fresh": {"CONNECTORS_ALLOW_PRIVATE": "1"},
    }
    for number, (name, command) in enumerate(commands.items()):
        first = environ.get(INTERNAL_PORT)
        internal = {INTERNAL_PORT: str(int(first) + number)} if first else {}
        supervisor.start(name, command, {**environ, **own.get(name, {}), **internal})


def _await(supervisor: Supervisor, environ: Mapping[str, str]) -> None:
    """Wait until all answer. Raises EngineError when one ends, or stays silent for long."""
    deadline = time.monotonic() + PATIENCE
    while not _all_answer(environ):
        name = supervisor.ended()
        if name is not None:
            raise EngineError(f"{name} did not start; see its output above")
        if time.monotonic() > deadline:
            raise EngineError("Not everything answers; see their output above")
        time.sleep(0.1)


def _health_url(environ: Mapping[str, str]) -> str:
    first = environ.get(INTERNAL_PORT)
    return f"http://{HOST}:{first}" if first else environ["PUBLIC_URL"]


def _all_answer(environ: Mapping[str, str]) -> bool:
    try:
        for url in (
            f"{_health_url(environ)}/healthz",
            f"{environ['DEV_TOOLS_URL']}/state",
            environ["DEV_SHOPS_URL"],
            f"{environ['CONSOLE_URL']}/console",
        ):
            if httpx.get(url, timeout=5).is_error:
                return False
        with redis.Redis.from_url(environ["REDIS_URL"]) as client:
            return bool(rq.Worker.count(connection=client))
    except (httpx.HTTPError, redis.RedisError):
        return False


def _banner(
    environ: Mapping[str, str], key: str, mail: Mail, commands: Path, seconds: float
) -> str:
    site, shops = environ["PUBLIC_URL"], environ["DEV_SHOPS_URL"]
    flask = Path(sys.executable).parent / (PROGRAM if IS_INSTALLED else "flask")
    if flask.is_relative_to(CHECKOUT) and commands.is_relative_to(CHECKOUT):
        flask, commands = flask.relative_to(CHECKOUT), commands.relative_to(CHECKOUT)
    ask = (
        f'curl -s {site}/v1/decisions -H "Authorization: Bearer $KEY"'
        " -H 'Content-Type: application/json'"
        f' -d \'{{"message_type": "{MESSAGE_TYPE}", "recipient": "{mail.recipient}"}}\''
    )
    click = (
        f"curl -s -o /dev/null -w '%{{http_code}}\\n' -d List-Unsubscribe=One-Click"
        f" {mail.unsubscribe_url}"
    )
    first = environ.get(INTERNAL_PORT)
    metrics = (
        f"\n  Metrics       {_health_url(environ)}/metrics, and the next ports" if first else ""
    )
    return f"""
Up after {seconds:.0f} s. Ctrl-C stops everything; what you did is kept.

  Site          {site}
  Demo          {site}/dev
  Console       {site}/dev#console
                what staff work in: one click signs you in, in any role
  Shops         {shops}
                {shops.replace(HOST, "localhost")}, of another brand: both ask for cookies
  Unsubscribe   {mail.unsubscribe_url}
  Preferences   {mail.preferences_url}
  API           {site}/v1/docs
  API key       {key}
  Commands      {flask} --env-file {commands} --help{metrics}

To try: may we write to {mail.recipient}? They click unsubscribe. May we still?

  KEY={key}
  SITE={site}
  LINK={mail.unsubscribe_url}
  {ask}
  {click}
  {ask}
"""


def _open_browser(url: str) -> None:
    """Show the page where there is a display; a browser of the terminal would take that away."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "darwin" or any(os.environ.get(name) for name in names):
        webbrowser.open(url)


if __name__ == "__main__":
    gc.freeze()  # else the collector scans every module at the end: half a second
    sys.exit(main(sys.argv[1:]))
