"""Lists as files, and jobs on them."""

from __future__ import annotations

import csv
from pathlib import Path

from preference_center.lists.scrub.query import ScrubJob


def job(folder: Path, message_type: str, name: str = "list.csv") -> ScrubJob:
    """Scrub a list of this folder by the snapshot next to it."""
    return ScrubJob(
        list_path=folder / name,
        clean_path=folder / name.replace("list", "clean"),
        removed_path=folder / name.replace("list", "removed"),
        receipt_path=folder / "receipt.json",
        snapshot_path=folder / "snapshot.parquet",
        message_type=message_type,
        address_column="address",
    )


def write(path: Path, cells: list[str]) -> None:
    """A list with a number in front of each cell, and a line break behind it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "address", "name"])
        writer.writerows((n, cell, 'Jane "J" Doe, of\nBath') for n, cell in enumerate(cells))


def read(path: Path) -> list[list[str]]:
    """The rows less the header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]
