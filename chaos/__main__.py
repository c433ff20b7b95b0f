"""Strike every process at random while people opt out, wait for calm, run the audit.

Starts web, two workers, one in the fresh lane, the scheduler, PostgreSQL with a standby, Valkey
and two tools of its own, and leaves nothing behind but, after a failure, what was written, in
.data/chaos-SEED. A run takes a minute or two longer than --minutes. A seed draws the same
strikes and the same people every time; what is struck in the middle of what differs.

Exits with 0 if the audit passes; with 1 if not, having named what is missing; with 130 if it
was interrupted, which proves nothing.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from chaos.cluster import Cluster
from chaos.progress import say
from chaos.run import RunOptions, run
from chaos.tools import TAG, MoodyMailgun, MoodyReceiver
from dev.accounts import remove, server_account
from dev.engines import CHECKOUT, Engines, for_test
from dev.valkey import Valkey
from tests.faults.service import TOPIC, Service
from tests.integrations.tools.mailgun import DOMAIN, KEY

SHOWN = 20
"""Faults that are printed; all are kept."""
RATE = "100000 per second"
"""No limit of the tools' own: the machine is limit enough."""


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    options = _read(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's `&` leaves SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            found = _run(Path(folder), options)
    except KeyboardInterrupt:
        say("interrupted: nothing is proven")
        return 130
    for line in found[:SHOWN]:
        print(line)
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more, in faults.txt")
    print(f"seed {options.seed}: {len(found)} faults" if found else "the audit passes")
    return bool(found)


def _read(arguments: list[str]) -> RunOptions:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description=__doc__,
        epilog="Examples: make chaos MINUTES=2 SEED=7    make chaos ARGS='--rate 100'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="how long people opt out under strikes (10)"
    )
    parser.add_argument("--seed", default="1", help="any text; draws strikes and people (1)")
    parser.add_argument(
        "--rate",
        type=float,
        default=300,
        help="opt-outs a second to aim at (300); what strikes hold up is made up for after"
        " them, as far as the machine can",
    )
    parser.add_argument(
        "--pgbouncer", action="store_true", help="connect through PgBouncer, transaction pooling"
    )
    given = parser.parse_args(arguments)
    if given.minutes <= 0 or given.rate <= 0:
        parser.error("--minutes and --rate are to be more than 0")
    return RunOptions(given.seed, given.minutes * 60, given.rate, pooled=given.pgbouncer)


def _run(folder: Path, options: RunOptions) -> list[str]:
    """Every line that does not balance. Keeps what was written if there is any, or no end."""
    try:
        with ExitStack() as stack:
            found = run(*_stage(stack, folder, pooled=options.pooled), options)
    except Exception:
        _keep(folder, options.seed, traceback.format_exc().splitlines())
        raise
    if found:
        _keep(folder, options.seed, found)
    return found


def _stage(
    stack: ExitStack, folder: Path, *, pooled: bool
) -> tuple[Service, Cluster, tuple[MoodyReceiver, MoodyMailgun]]:
    """Everything that is to be struck; the end of `stack` ends it."""
    engines, cluster = stack.enter_context(_engines(folder, pooled=pooled))
    spool = folder / "spool"
    spool.mkdir()
    extra = {"WEB_APP": "chaos.web:app", "SPOOL_DIR": str(spool)}
    service = stack.enter_context(Service(engines, folder, extra=extra))
    receiver = stack.enter_context(MoodyReceiver())
    mailgun = stack.enter_context(MoodyMailgun())
    service.add_destination(receiver.url)
    settings = {"api_key": KEY, "domain": DOMAIN, "base_url": mailgun.url, "rate": RATE}
    service.add_destination(
        mailgun.url, name="mailgun", kind="mailgun", settings=settings, mapping={TOPIC: TAG}
    )
    return service, cluster, (receiver, mailgun)


@contextmanager
def _engines(folder: Path, *, pooled: bool) -> Iterator[tuple[Engines, Cluster]]:
    """Engines of which nothing is left but their logs, in `folder`: a long run writes much."""
    engines = for_test(environ={}, durable=True)
    cluster = Cluster(engines.folder, server_account(), pooled=pooled)
    engines.database = cluster
    with engines:
        try:
            yield engines, cluster
        finally:
            engines.stop()
            cluster.remove()
            remove(engines.folder / Valkey.name)
            for log in engines.folder.glob("*.log"):
                shutil.copy(log, folder)


def _keep(folder: Path, seed: str, found: list[str]) -> None:
    """What was written, for anyone who wants to know why."""
    kept = CHECKOUT / ".data" / f"chaos-{''.join(c for c in seed if c.isalnum())}"
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    (kept / "faults.txt").write_text("\n".join([*found, ""]))
    say(f"what all processes wrote is kept in {kept}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
