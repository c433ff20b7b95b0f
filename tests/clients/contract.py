"""What every client does alike, as clients/contract.json has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
CONTRACT: dict[str, Any] = json.loads((CLIENTS / "contract.json").read_text(encoding="utf-8"))
