"""The data files that hold the names."""

from __future__ import annotations

from importlib.resources import files


def read_data(name: str) -> str:
    """The text of data/<name>."""
    return files(__package__).joinpath("data", name).read_text(encoding="utf-8")
