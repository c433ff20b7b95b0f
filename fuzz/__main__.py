"""`python -m fuzz`: every target for a share of the time, guided by what code it reaches.

What breaks a target is kept in `fuzz/corpus`, where tests find it again; what reached new code
in `.data/fuzz`, where the next run goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path

import atheris

from dev.engines import CHECKOUT

# Atheris prints every module that it instruments: two hundred lines.
with (
    open(os.devnull, "w") as nowhere,  # noqa: PTH123 - no file
    atheris.instrument_imports(include=["fuzz", "preference_center"]),
):
    stderr, sys.stderr = sys.stderr, nowhere
    from fuzz.targets import TARGETS

    sys.stderr = stderr

CORPUS = Path(__file__).with_name("corpus")
FOUND = CHECKOUT / ".data" / "fuzz"
LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=2048")
"""Bytes of an input; seconds and MiB above which one is a finding."""


def main() -> int:
    """Return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(TARGETS)}; else all")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    broken = [name for name in names if not _fuzz(name, options.seconds / len(names))]
    print(f"Broken: {', '.join(broken)}; see fuzz/corpus" if broken else "Nothing broke")
    return bool(broken)


def _fuzz(name: str, seconds: float) -> bool:
    """Whether the target bore all that was tried, in a process that libFuzzer may end."""
    kept, found = CORPUS / name, FOUND / name
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    time = max(1, round(seconds))
    print(f"{name} for {time} s", flush=True)
    child = os.fork()
    if not child:
        _go(name, f"-max_total_time={time}", f"-artifact_prefix={kept}/", str(found), str(kept))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _go(name: str, *options: str) -> None:
    def take(data: bytes) -> None:
        """Run the target; say what broke it."""
        try:
            TARGETS[name](data)
        except Exception:
            traceback.print_exc(file=sys.__stderr__)
            raise

    # What the service logs of each odd request is not to be read here.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - open until the end
    atheris.Setup([name, *LIMITS, "-verbosity=0", "-print_final_stats=1", *options], take)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
