"""Every input that once reached new code or broke it, and odd inputs made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "corpus"
KEPT = {name: [file.read_bytes() for file in sorted((CORPUS / name).iterdir())] for name in TARGETS}


def test_every_target_has_a_corpus_and_there_is_no_other() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(KEPT.values())


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_breaks_its_target(name: str) -> None:
    for data in (b"", *KEPT[name]):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_nor_does_anything_spliced_into_one(name: str) -> None:
    target, kept = TARGETS[name], KEPT[name]

    @settings(max_examples=25, deadline=None)
    @given(st.sampled_from(kept), st.integers(0, 300), st.integers(0, 9), st.binary(max_size=9))
    def splice(data: bytes, at: int, gone: int, put: bytes) -> None:
        target(data[:at] + put + data[at + gone :])

    splice()
