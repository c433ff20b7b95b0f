"""`python -m dev.maintenance.audit`: known vulnerabilities of what is locked of Python and npm.

`pip-audit` asks PyPI, `npm audit` the registry of npm. An index in their place may know of no
advisories, and then nothing can be audited: that is printed for each lock file, and is no failure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PYTHON = CHECKOUT / "requirements-image.lock"
JAVASCRIPT = (
    CHECKOUT / "clients" / "js" / "package-lock.json",
    CHECKOUT / "tests" / "clients" / "requirements" / "package-lock.json",
)

PIP_AUDIT = ["pip-audit", "--format=json", "--progress-spinner=off", "--disable-pip"]
PIP_AUDIT += ["--require-hashes", f"--requirement={PYTHON}"]
NPM_AUDIT = ["audit", "--package-lock-only", "--json"]


class NotAudited(Exception):
    """Nothing was found out, and why."""


def read_pip_audit(report: str) -> list[str]:
    """What `pip-audit --format=json` reports, a line for each finding. Raises NotAudited."""
    if not report:
        raise NotAudited("pip-audit could not ask")
    packages = json.loads(report)["dependencies"]
    left_out = [package["name"] for package in packages if "skip_reason" in package]
    if len(left_out) == len(packages):
        raise NotAudited("the package index tells of no advisories")
    found = [
        f"{package['name']} {package['version']}: {known['id']},"
        f" fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
        for package in packages
        for known in package.get("vulns", ())
    ]
    return found + [f"{name}: not found, so not audited" for name in left_out]


def read_npm_audit(report: str) -> list[str]:
    """What `npm audit --json` reports, a line for each package. Raises NotAudited."""
    answer = json.loads(report or "{}")
    if "vulnerabilities" not in answer:
        raise NotAudited(answer.get("message") or "npm could not ask")
    found = []
    for name, known in sorted(answer["vulnerabilities"].items()):
        causes = [cause if isinstance(cause, str) else cause["url"] for cause in known["via"]]
        found.append(f"{name} {known['range']}: {known['severity']}, {', '.join(causes)}")
    return found


def audit_python() -> list[str]:
    """The findings about what runs in production. Raises NotAudited."""
    done = subprocess.run(PIP_AUDIT, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    sys.stderr.write("" if done.stdout else done.stderr[-2000:])
    return read_pip_audit(done.stdout)


def audit_javascript(lock: Path) -> list[str]:
    """The findings about a lock file of npm. Raises NotAudited."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotAudited("npm is missing")
    command = [npm, *NPM_AUDIT]
    done = subprocess.run(command, cwd=lock.parent, capture_output=True, text=True, check=False)
    return read_npm_audit(done.stdout)


def main() -> int:
    """Return 1 if something is known to be vulnerable, or alone could not be looked up."""
    is_vulnerable = False
    for lock in (PYTHON, *JAVASCRIPT):
        name = lock.relative_to(CHECKOUT)
        try:
            found = audit_python() if lock == PYTHON else audit_javascript(lock)
        except NotAudited as reason:
            print(f"{name}: not audited: {reason}")
            continue
        is_vulnerable = is_vulnerable or bool(found)
        print("\n  ".join([f"{name}: {len(found) or 'nothing'} known", *found]))
    return int(is_vulnerable)


if __name__ == "__main__":
    sys.exit(main())
