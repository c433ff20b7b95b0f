"""What every client does alike, as clients/contract.json has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "contract.json").read_text(encoding="utf-8")
)
