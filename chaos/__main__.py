"""`python -m chaos`: strike for some minutes, wait for calm, balance the books."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from chaos.books import faults
from chaos.crew import Running, carry_out, muster
from chaos.looking import look, unsettled
from chaos.people import LOST, Crowd
from chaos.plan import draw
from chaos.tools import TAG, MoodyMailgun, MoodyReceiver
from dev.engines import for_test
from dev.processes import wait_until
from tests.connectors.tools.mailgun import DOMAIN, KEY
from tests.faults.service import TOPIC, Service

SHUT = 60.0
"""Seconds until the web process must answer again."""
STEP = timedelta(minutes=6)
"""How far the clocks of workers and scheduler go ahead when nothing moves: past a lease, a
probe of an open circuit, and the time for which an old request may be alive."""
STEPS = 20
QUIET = 10.0
"""Seconds without progress before the clocks go ahead."""
RATE = "100000 per second"
"""No limit of the tools' own: the machine is limit enough."""
EXPECTED = {200, 503, LOST}
"""What a client may be answered while things fail: 503 says to try again."""


def main() -> int:
    """Return 0 if the books balance."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", type=float, default=200, help="opt-outs a second")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        for_test(environ={}, durable=True) as engines,
        Service(engines, Path(folder)) as service,
        MoodyReceiver() as receiver,
        MoodyMailgun() as mailgun,
    ):
        service.add_destination(receiver.url)
        settings = {"api_key": KEY, "domain": DOMAIN, "base_url": mailgun.url, "rate": RATE}
        service.add_destination(
            mailgun.url, name="mailgun", kind="mailgun", settings=settings, mapping={TOPIC: TAG}
        )
        found = _run(service, (receiver, mailgun), options)
    for line in found:
        print(line)
    print(f"seed {options.seed}: {len(found)} faults" if found else "the books balance")
    return bool(found)


def _run(
    service: Service,
    tools: tuple[MoodyReceiver, MoodyMailgun],
    options: argparse.Namespace,
) -> list[str]:
    """Every line that does not balance."""
    crew = muster(service, tools)
    _await_web(service)
    crowd = Crowd(service, options.seed, options.rate)
    begin, seconds = time.monotonic(), options.minutes * 60
    with crowd:
        carry_out(draw(options.seed, seconds), crew, seconds)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        _await_web(service)  # whoever insists gets an answer
    took = time.monotonic() - begin
    promised = sum(person.least for person in crowd.people)
    print(
        f"{len(crowd.people)} people, {promised} opt-outs acknowledged, "
        f"{promised / took:.0f} a second; answers {dict(sorted(crowd.answers.items()))}"
    )
    calm = _await_calm(service)
    print(f"calm after {calm:.0f} s")
    held = {"the webhook": tools[0].held(), "Mailgun": tools[1].held()}
    found = [*crowd.odd, *faults(crowd.people, look(service, crowd.people, held))]
    found += [f"answered with {status}" for status in sorted(set(crowd.answers) - EXPECTED)]
    for victim in crew.values():
        if isinstance(victim, Running):
            found += victim.ended
            if not victim.process.alive:
                found.append(f"{victim.name} ended by itself")
    return found + _told(service)


def _await_web(service: Service) -> None:
    if not wait_until(lambda: service.status("/healthz") == 200, SHUT):
        raise SystemExit(f"the web process does not answer:\n{service.logs()[-4000:]}")


def _await_calm(service: Service) -> float:
    """Wait until nothing is left to do, or nothing moves; seconds.

    Leases, probes and back-off are waited for by putting the clocks of workers and scheduler
    ahead, not by sitting them out.
    """
    begin = time.monotonic()
    ahead = timedelta()
    for _ in range(STEPS):
        while left := unsettled(service):
            if not wait_until(lambda before=left: unsettled(service) < before, QUIET):  # type: ignore[misc] # mypy can't infer it
                break
        else:
            break
        ahead += STEP
        service.shift(ahead)
    return time.monotonic() - begin


def _told(service: Service) -> list[str]:
    """What the processes may not have written (I12), or have not foreseen."""
    logs = service.logs().replace("preferences.example.com", "")
    found = [f"{logs.count(what)} x {what!r} in the logs" for what in ("@example.com", "/u/")]
    unforeseen = logs.count('"unexpected"')
    return [line for line in found if not line.startswith("0 ")] + (
        [f"{unforeseen} errors in the logs that nobody foresaw"] if unforeseen else []
    )


if __name__ == "__main__":
    sys.exit(main())
