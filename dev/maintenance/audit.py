"""`python -m dev.maintenance.audit`: known vulnerabilities of what `requirements-image.lock` names.

`pip-audit` asks PyPI. An index in its place that knows of no advisories lets nothing be
audited: that is printed, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

COMMAND = ["pip-audit", "--format=json", "--progress-spinner=off", "--disable-pip"]
COMMAND += ["--require-hashes", "--requirement=requirements-image.lock"]


def main() -> int:
    """Return 1 if something is known to be vulnerable, or alone could not be looked up."""
    done = subprocess.run(COMMAND, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if not done.stdout:
        print(f"Not audited: pip-audit could not ask.\n{done.stderr[-2000:]}", file=sys.stderr)
        return 0
    packages = json.loads(done.stdout)["dependencies"]
    left_out = [package["name"] for package in packages if "skip_reason" in package]
    if len(left_out) == len(packages):
        print("Not audited: the package index tells of no advisories")
        return 0
    found = [
        f"{package['name']} {package['version']}: {known['id']},"
        f" fixed in {', '.join(known['fix_versions']) or 'no version yet'}"
        for package in packages
        for known in package.get("vulns", ())
    ]
    found += [f"{name}: not found, so not audited" for name in left_out]
    print("\n".join(found) or f"{len(packages)} packages, nothing known against them")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
