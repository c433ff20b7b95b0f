"""Settings from files: `NAME_FILE` names a file that holds the setting `NAME`.

So are secrets handed to a process without showing in its environment, which `docker inspect`,
crash dumps and child processes have. Docker's and Kubernetes' secrets are such files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SUFFIX = "_FILE"
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SettingFiles:
    """What the files hold, and what is wrong with others, both by the setting's name."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    """Begins with what follows the name in capitals: `_FILE: ...`."""


def read_setting_files(environ: Mapping[str, str], names: Iterable[str]) -> SettingFiles:
    """Read the file of each setting of `names` that `environ` names one for.

    The white space at the end of a file is no part of the setting: editors and `echo` add a line
    break. It is a problem if the setting is also given by itself, since one of the two is old.
    """
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    given = {name.upper(): value for name, value in environ.items()}  # as pydantic-settings does
    for name in names:
        path = given.get(f"{name.upper()}{SUFFIX}")
        if not path:
            continue
        if given.get(name.upper()):
            problems[name] = f" and {name.upper()}{SUFFIX} are both set: remove one of them"
            continue
        try:
            values[name] = _read(Path(path))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems[name] = f"{SUFFIX}: {path} can't be read: {reason}"
    return SettingFiles(values, problems)


def _read(path: Path) -> str:
    """Raises OSError, and ValueError for what is no short text."""
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("it has more than a megabyte")
    try:
        text = raw.decode().rstrip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not text:
        raise ValueError("it is empty")
    return text
