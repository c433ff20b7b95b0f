"""`python -m preference_center.cli`: the commands that need no settings, in any folder.

`flask` finds them only in the folder of the checkout.
"""

from __future__ import annotations

import click
from flask.cli import ScriptInfo

from preference_center.cli.catalogue import catalogue
from preference_center.cli.keys import keys

if __name__ == "__main__":
    click.Group("preference_center.cli", [catalogue, keys]).main(obj=ScriptInfo())
