"""The names of the splits."""

from __future__ import annotations

SPLITS = ("train", "validation", "test")
NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What others call them, in lower case."""
