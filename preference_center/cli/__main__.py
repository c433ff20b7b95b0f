"""`python -m preference_center.cli`: what works before any setting exists, or without.

`flask` makes the app first, and that refuses to start without settings: among them the keys
that `keys generate` prints, and none that `catalogue check` needs.
"""

from __future__ import annotations

import click
from flask.cli import ScriptInfo

from preference_center.cli.catalogue import catalogue
from preference_center.cli.keys import keys

if __name__ == "__main__":
    click.Group("preference_center.cli", [catalogue, keys]).main(obj=ScriptInfo())
