"""What the clients say of themselves: clients/contract.json, and the examples of their READMEs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
CONTRACT: dict[str, Any] = json.loads((CLIENTS / "contract.json").read_text(encoding="utf-8"))


def examples(client: str, language: str) -> list[str]:
    """The blocks of code in a client's README."""
    text = (CLIENTS / client / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
