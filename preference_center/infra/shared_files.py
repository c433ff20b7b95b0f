"""Files in which the web processes of one server add up what they count.

Whichever of them is asked for metrics must answer for all. Each process counts in a file of its
own in one folder, which the others read. A file outlives its process, so no counter goes back
when a worker is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import values

log = structlog.get_logger()

_PREFIX = "preference-center-metrics"
_FOLDER_MODE = 0o700


def share_between_workers() -> Path | None:
    """Make metrics that are created from now on count in files, if this is one of several workers.

    Workers are processes that another Python process started by `multiprocessing`, as granian
    does. Returns the folder; None where this process counts alone in memory, also where no folder
    can be written.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return None
    try:
        folder = _make_folder(Path(tempfile.gettempdir()), parent.pid)
    except OSError:
        return None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # where prometheus-client looks for it
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    return folder


def warn_if_not_shared(folder: Path | None) -> None:
    """Log that this worker counts for itself, if it does: metrics jump between workers then."""
    if folder is None and multiprocessing.parent_process() is not None:
        log.warning("metrics_not_shared", remedy="make the temporary directory (TMPDIR) writable")


def _make_folder(parent: Path, server_pid: int) -> Path:
    """The folder of one server's workers, ours alone. Raises OSError."""
    _remove_abandoned(parent)
    folder = parent / f"{_PREFIX}-{os.getuid()}-{server_pid}"
    folder.mkdir(_FOLDER_MODE, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Delete the folders of our servers that have ended."""
    for folder in parent.glob(f"{_PREFIX}-{os.getuid()}-*"):
        pid = folder.name.rpartition("-")[2]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with suppress(OSError):
                shutil.rmtree(folder)
        except (ValueError, PermissionError):
            continue
