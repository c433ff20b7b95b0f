"""Build the image of the Dockerfile with buildah, as root: `python -m dev.maintenance.image`.

On the image of a registry if BASE_IMAGE names one; else, since none may be in reach, on a root
file system of Debian's packages, which mmdebstrap makes once. What the Dockerfile takes from
outside is passed on: PIP_INDEX_URL, the file NETRC, and the file PIP_CERT as its secret `ca`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".data" / "image"
NAME = "localhost/preference-center"

_DEBIAN = "localhost/debian-python"
_SUITE = "trixie"
_PACKAGES = "python3,python3-venv,ca-certificates"
# buildah looks for netavark even where it makes no network.
_NEEDED = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "/usr/lib/podman/netavark": "netavark"}
_STORAGE = ("--root", HOME / "storage", "--runroot", HOME / "run")
# What works as root inside another container too: chroot, and the network of the machine.
_ISOLATION = ("--isolation", "chroot", "--network", "host")


def missing() -> str:
    """What to install to build it here; "" if all is there."""
    gone = [package for program, package in _NEEDED.items() if not shutil.which(program)]
    words = "apt-get install --no-install-recommends"
    return f"{gone[0]} is missing: {words} {' '.join(gone)}" if gone else ""


def buildah(*words: str | Path) -> str:
    """Run buildah on our own store, and return what it prints. Raises CalledProcessError."""
    done = subprocess.run(
        ["buildah", *_STORAGE, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def make_base() -> str:
    """The name of an image of Debian and its Python, made where it is not there yet."""
    folder = HOME / _SUITE
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--quiet", "--variant=minbase", f"--include={_PACKAGES}"]
        subprocess.run(["mmdebstrap", *options, _SUITE, folder / "root.tar"], check=True)
        (folder / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
        buildah("build", "--quiet", *_ISOLATION, *_limits(), "--tag", _DEBIAN, folder)
        (folder / "root.tar").unlink()
        (folder / "done").touch()
    return _DEBIAN


def build(environ: Mapping[str, str]) -> None:
    """Build the image, as NAME in our store. Raises CalledProcessError."""
    words = [
        *_ISOLATION,
        *_limits(),
        "--build-arg",
        f"BASE_IMAGE={environ.get('BASE_IMAGE') or make_base()}",
    ]
    if index := environ.get("PIP_INDEX_URL"):
        words += ["--build-arg", f"PIP_INDEX_URL={index}"]
    for variable, secret in (("PIP_CERT", "ca"), ("NETRC", "netrc")):
        if path := environ.get(variable):
            words += ["--secret", f"id={secret},src={path}"]
    # the format of OCI knows no HEALTHCHECK
    buildah("build", "--quiet", "--format", "docker", *words, "--tag", NAME, ROOT)
    buildah("rmi", "--prune")


def configuration() -> dict[str, Any]:
    """What the image starts, as whom and where, in the words of Docker's image configuration."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", NAME))
    return dict(found["Docker"]["config"])


@contextmanager
def root_file_system() -> Iterator[Path]:
    """A copy of the image's root file system, for as long as it is needed."""
    container = buildah("from", "--pull-never", *_ISOLATION[:2], NAME)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def _limits() -> list[str]:
    """Our own limits: buildah would raise them, which not even root may do everywhere."""
    pairs = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    found = {name: resource.getrlimit(number) for name, number in pairs.items()}
    return [f"--ulimit={name}={soft}:{hard}" for name, (soft, hard) in found.items()]


def main() -> None:
    """Build it, and report how long that took."""
    if reason := missing():
        sys.exit(reason)
    started = time.monotonic()
    try:
        build(os.environ)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} failed, see above")
    print(buildah("images", "--format", "{{.Name}} has {{.Size}}", NAME))
    print(f"Built in {time.monotonic() - started:.0f} seconds")


if __name__ == "__main__":
    main()
