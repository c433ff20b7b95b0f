"""What people wrote, safe to print: a terminal runs the control characters of a text."""

from __future__ import annotations


def strip_control_characters(text: str) -> str:
    """The text without the control characters that a terminal interprets."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each.isprintable() or each in "\n\t")
