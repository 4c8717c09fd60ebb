"""Events as files: for R, pandas, QGIS and spreadsheets, and in the column layouts of ACLED and of GDELT.

Each format is a module's; here is how a file comes to be.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from ingest.export.acled import acled_lines, is_acled
from ingest.export.cameo import cameo_lines, is_cameo
from ingest.export.lines import csv_lines, geojson_lines, jsonl_lines
from ingest.export.parquet import write_parquet
from ingest.records import EventRecord

Format = Literal["csv", "jsonl", "parquet", "geojson", "acled", "cameo"]

_LINES: dict[str, Callable[[Iterable[EventRecord]], Iterator[bytes]]] = {
    "csv": csv_lines,
    "jsonl": jsonl_lines,
    "geojson": geojson_lines,
    "acled": acled_lines,
    "cameo": cameo_lines,
}
_TAKES: dict[str, Callable[[EventRecord], bool]] = {"acled": is_acled, "cameo": is_cameo}


class Exported(NamedTuple):
    """How many events were written, and how many the format has no place for."""

    written: int
    left_out: int


def export_events(events: Iterable[EventRecord], format: Format, target: str) -> Exported:
    """Write `events` to the file `target` (`-`: standard output).

    A file appears under its name only when it is whole; until then what was there before stays.
    Raises OSError when it cannot be written, ConflictwireError when the format needs a package that is not installed.
    """
    written = left_out = 0
    takes = _TAKES.get(format)

    def taken() -> Iterator[EventRecord]:
        nonlocal written, left_out
        for event in events:
            if takes is None or takes(event):
                written += 1
                yield event
            else:
                left_out += 1

    with whole_file(target) as file:
        if format == "parquet":
            write_parquet(taken(), file)
        else:
            file.writelines(_LINES[format](taken()))
    return Exported(written, left_out)


@contextmanager
def whole_file(target: str) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name when it is whole; `-` is standard output. Raises OSError."""
    path = Path(target)
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
        with path.open("wb") as file:
            yield file
    else:
        half = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with half.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                half.unlink()
            raise
