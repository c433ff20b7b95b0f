"""Text in the form of the objection tables: words, commas, sentences."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping

_CHARACTER_REPLACEMENTS = str.maketrans(
    {"\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00df": "ss", "\u00e6": "ae", "\u0153": "oe"}
)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_QUOTATION = re.compile(
    '"[^"\n]{1,200}"|[\u201c\u201e][^\u201c\u201d\n]{1,200}[\u201c\u201d]'
    "|\u00ab[^\u00ab\u00bb\n]{1,200}\u00bb|(?<!\\w)'[^'\n]{1,200}'(?!\\w)"
)
_ADDRESS = re.compile(r"(?<!\S)[^\s@]{1,64}@[^\s@]{1,255}")
_LINK = re.compile(r"(?:https?://|www\.)\S{1,2000}")
_PUNCTUATION = re.compile(
    r"[,;:()\[\]/|\u2026\u2022]+|(?<=\s)[-\u2013\u2014]+(?=\s)|[\u2013\u2014]"
)
_NON_WORD = re.compile(r"[^\w,]+|_+")
_COMMAS = re.compile(r"(?: ?,)+ ?")
_LEAST, _MOST = 6, 40
"""Characters of a word whose typing errors are corrected."""


def normalize_text(text: str) -> str:
    """In lower case, without accents and invisible characters, with plain quotes."""
    lower = _INVISIBLE.sub("", text).replace("\u2019", "'").casefold()
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(c for c in apart if not unicodedata.combining(c)).translate(
        _CHARACTER_REPLACEMENTS
    )


def remove_quotations(text: str) -> str:
    """Plain text without quoted passages: others wrote those."""
    return _QUOTATION.sub(" x ", text)


def mask_addresses(text: str, sender: str) -> str:
    """Plain text with the word `myaddress` for the sender's, `otheraddress` for any other."""

    def name(found: re.Match[str]) -> str:
        address = found[0].strip("<>().,;:!?\"'")
        return " myaddress " if address == sender else " otheraddress "

    return _LINK.sub(" link ", _ADDRESS.sub(name, text))


def tokenize(sentence: str) -> str:
    """A plain sentence as words separated by one space; commas where one would pause."""
    paused = _PUNCTUATION.sub(" , ", sentence)
    bare = _NON_WORD.sub(" ", paused).replace(",", " , ")
    return " ".join(_COMMAS.sub(" , ", f" {bare} ").split()).strip(" ,")


class SpellingCorrector:
    """Corrects one typing error in a long word to the table's word that it must be.

    The error may be an extra, missing or wrong character, or two exchanged ones. The first
    character and the ending must match: they distinguish words, "anmelden", "unsubscribed".
    """

    def __init__(self, words: Collection[str]) -> None:
        self._words = frozenset(words)
        near: dict[str, set[str]] = defaultdict(set)
        for word in words:
            for form in (word, *_deletions(word)):
                near[form].add(word)
        self._near: Mapping[str, set[str]] = near

    def correct(self, text: str) -> str:
        """The text with its long words corrected."""
        return " ".join(self._correct_word(word) for word in text.split(" "))

    def _correct_word(self, word: str) -> str:
        if not _LEAST <= len(word) <= _MOST or word in self._words:
            return word
        meant = {
            known
            for form in (word, *_deletions(word))
            for known in self._near.get(form, ())
            if known[0] == word[0] and _same_ending(known, word)
        }
        return meant.pop() if len(meant) == 1 else word


def _same_ending(known: str, word: str) -> bool:
    """Whether the ending is the same, or a character shortly before the last was left out."""
    return known[-2:] == word[-2:] or (len(word) < len(known) and known[-1] == word[-1])


def _deletions(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(1, len(word))]
