"""`python -m preference_center.cli keys generate`: before any setting exists.

`flask` makes the app first, and that refuses to start without the keys this prints.
"""

from __future__ import annotations

import click
from flask.cli import ScriptInfo

from preference_center.cli.keys import keys

if __name__ == "__main__":
    click.Group("preference_center.cli", [keys]).main(obj=ScriptInfo())
