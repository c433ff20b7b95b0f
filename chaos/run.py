"""One run: people and strikes side by side, then calm, then the audit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from chaos.audit import faults, left_behind
from chaos.cluster import Cluster
from chaos.crew import Running, Score, Victim, carry_out, muster
from chaos.database import Locks
from chaos.evidence import evidence
from chaos.heartbeat import beating
from chaos.locked import Locked
from chaos.logs import log_faults
from chaos.observe import Watch, look
from chaos.people import SEE_OTHER, Crowd
from chaos.plan import HABITS, draw
from chaos.probes import Probes
from chaos.progress import EVERY, say, telling
from chaos.rotation import Rotation, add_next_key
from chaos.timing import LOST, SPOOLED, UNAVAILABLE, listed, measure, table
from chaos.timing import faults as faults_of
from chaos.tools import MoodyMailgun, MoodyReceiver
from chaos.witness import Witness
from dev.processes import wait_until
from tests.faults.service import Process, Service

SHUT = 60.0
"""Seconds until the web process must be ready again."""
STEP = timedelta(minutes=6)
"""How far the clocks of workers and scheduler go ahead when nothing moves: past a lease, a
probe of an open circuit, and the time for which an old request may be alive."""
STEPS = 20
QUIET = 10.0
"""Seconds without progress before the clocks go ahead."""
LOOK = 1.0
"""Seconds between looks at what is left: each costs PostgreSQL a read of the whole table."""
EXPECTED = {200, SEE_OTHER, SPOOLED, UNAVAILABLE, LOST}
"""What a client may get while processes fail: 503 asks it to try again."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to do: a seed, for so many seconds, with so many opt-outs a second."""

    seed: str
    seconds: float
    rate: float
    pooled: bool = False


def run(
    service: Service,
    cluster: Cluster,
    tools: tuple[MoodyReceiver, MoodyMailgun],
    options: RunOptions,
) -> list[str]:
    """Every line that does not balance."""
    crowd = Crowd(service, options.seed, options.rate)
    locked = Locked(crowd)
    add_next_key(service)
    with _beginning(service):
        locks = Locks(cluster, locked.settle(), locked.held)
    crew = muster(service, cluster, tools, locks)
    _await_web(service)
    found = _struck(service, cluster, crew, locked, options)
    found += _unrotated(crew)
    with Watch(service) as watch:
        print(f"calm after {_await_calm(service, watch):.0f} s", flush=True)
    found += _by_themselves(crew)
    _rest(crew)  # so that nothing moves under the audit
    found += log_faults(map(_lines, service.processes), _shot(crew))
    found += left_behind(Path(service.extra["SPOOL_DIR"]))
    return found + _audit(service, crowd, tools)


def _struck(
    service: Service,
    cluster: Cluster,
    crew: Mapping[str, Victim],
    locked: Locked,
    options: RunOptions,
) -> list[str]:
    """Carry out the plan while people come; what was wrong with what they met."""
    plan, crowd = draw(options.seed, options.seconds), locked.crowd
    witness, probes = Witness(service, crowd), Probes(service.url)
    begin = time.monotonic()
    with (service.folder / "strikes.txt").open("w") as book, beating() as stalls:
        score = Score(book)
        with crowd, telling(crowd, score):
            with locked, witness, probes:
                carry_out(plan, crew, options.seconds, score)
            _await_web(service)  # anyone who insists gets an answer
    took = time.monotonic() - begin
    print(
        f"{score.strikes} of {sum(map(len, plan.values()))} strikes; {len(crowd.people)} people, "
        f"{crowd.acknowledged} opt-outs acknowledged, {crowd.acknowledged / took:.0f} a second; "
        f"answers {dict(sorted(crowd.answers.items()))}"
    )
    samples = [*crowd.samples, *probes.samples, *witness.samples]
    times = measure(samples, score.windows, [*stalls, *cluster.stalls])
    (service.folder / "late.txt").write_text("\n".join([*listed(times, begin), ""]))
    print(*table(times, score.windows), sep="\n")
    found = [*crowd.odd, *witness.odd, *_unforeseen(crowd), *_not_done(score)]
    return [*found, *faults_of(times), *_asked(witness)]


def _asked(witness: Witness) -> Iterator[str]:
    """Print how many opt-outs every process was asked about; a fault if none."""
    print(
        f"{witness.asked} times all web processes were asked right after an opt-out, "
        f"{witness.partly} times not all could answer",
        flush=True,
    )
    if not witness.asked:
        yield "no opt-out was followed by a question to every web process: this shows nothing"


@contextmanager
def _beginning(service: Service) -> Iterator[None]:
    """A web process for what comes before the strikes."""
    process = service.start("web")
    try:
        yield
    finally:
        process.end()


def _not_done(score: Score) -> Iterator[str]:
    """What every run must do, and this one did not come to."""
    done = {(window.victim, window.deed) for window in score.windows}
    for name, habit in HABITS.items():
        for deed in habit.once:
            if (name, deed) not in done:
                yield f"{name}: {deed} was planned, and not carried out in time"


def _audit(service: Service, crowd: Crowd, tools: tuple[MoodyReceiver, MoodyMailgun]) -> list[str]:
    begin = time.monotonic()
    people = crowd.people
    held = {"the webhook": tools[0].held(), "Mailgun": tools[1].held()}
    found = [*tools[0].odd(), *tools[1].odd()]
    found += faults(people, look(service, people, held))
    (service.folder / "evidence.txt").write_text("".join(evidence(service, people, found)))
    print(f"audited in {time.monotonic() - begin:.0f} s", flush=True)
    return found


def _unforeseen(crowd: Crowd) -> Iterator[str]:
    """Answers that nobody may get, and a run that shows nothing."""
    for status in sorted(set(crowd.answers) - EXPECTED):
        yield f"answered with {status}"
    if not crowd.acknowledged:
        yield "no opt-out was acknowledged: this shows nothing"


def _unrotated(crew: Mapping[str, Victim]) -> Iterator[str]:
    rotation = crew["rotation"]
    assert isinstance(rotation, Rotation)
    if problem := rotation.finish():
        yield problem
    print(f"the digest keys were changed in {rotation.runs} runs", flush=True)


def _by_themselves(crew: Mapping[str, Victim]) -> Iterator[str]:
    for victim in crew.values():
        if isinstance(victim, Running):
            yield from victim.odd
            if not victim.process.alive:
                yield f"{victim.name} ended by itself: {victim.process.log.name}"


def _lines(process: Process) -> Iterator[str]:
    with process.log.open(errors="replace") as log:
        yield from log


def _shot(crew: Mapping[str, Victim]) -> int:
    return sum(victim.shot for victim in crew.values() if isinstance(victim, Running))


def _rest(crew: Mapping[str, Victim]) -> None:
    """End all processes but the web's, which the audit asks."""
    for victim in crew.values():
        if isinstance(victim, Running) and victim.name != "web":
            victim.process.end()


def _await_web(service: Service) -> None:
    if not wait_until(lambda: service.status("/readyz") == 200, SHUT):
        raise RuntimeError(f"the web process is not ready:\n{service.logs()[-4000:]}")


def _await_calm(service: Service, watch: Watch) -> float:
    """Wait until nothing is left to do, or nothing moves; seconds.

    Leases, probes and back-off are waited for by putting the clocks of workers and scheduler
    ahead, not by sitting them out.
    """
    begin = printed = moved = time.monotonic()
    least, steps = watch.unsettled(), 0
    while least and steps <= STEPS:
        time.sleep(LOOK)
        left, now = watch.unsettled(), time.monotonic()
        if left < least:
            least, moved = left, now
        elif now - moved > QUIET:
            steps, moved, least = steps + 1, now, left
            service.shift(STEP * steps)
        if now - printed > EVERY:
            printed = now
            say(f"{now - begin:6.0f} s  {left} not pushed yet, clocks {STEP * steps} ahead")
    return time.monotonic() - begin
