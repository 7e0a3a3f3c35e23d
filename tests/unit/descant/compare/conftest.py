from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from descant.cli import compare

STAND_IN = Path(__file__).with_name("stand_in.py")
Command = Callable[..., int]


@pytest.fixture
def stand_in() -> tuple[str, str]:
    """The command that makes runs in place of ``descant train``."""
    return (sys.executable, str(STAND_IN))


@pytest.fixture
def run_compare(tmp_path: Path, stand_in: tuple[str, str]) -> Command:
    """``descant compare WORDS…`` in a folder of its own, its runs made by the stand-in."""

    def run(*words: str) -> int:
        parser = argparse.ArgumentParser()
        compare.configure(parser)
        return compare.main(parser.parse_intermixed_args([*words, "--dir", str(tmp_path)]), stand_in)

    return run
