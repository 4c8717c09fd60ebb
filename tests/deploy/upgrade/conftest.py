"""This version of the program between two others: one from before the tables changed shape, and one to come."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.settings import Settings
from ingest.storage.tables import HEAD
from tests.ingest.pipeline import Workers, server_settings
from tests.servers.unavailable import unavailable

ROOT = Path(__file__).parents[3]
# The last version before migrations 0006 and 0007; it cannot write to the tables that 0007 makes.
OLD, OLD_SCHEMA = "c35d8ec", "0005"
# What a worker with the stand-in coder needs.
PARTS = ("ingest", "models", "tests/ingest")
WITHOUT = ("models/weights", "models/corpus", "models/training")
# A migration as one should be: older workers can go on writing after it.
MIGRATION = f'''
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "{HEAD}", None, None


def upgrade():
    # In an order that would be the wrong one against workers at work.
    op.add_column("events", sa.Column("remark", sa.Text))
    op.add_column("articles", sa.Column("remark", sa.Text))


def downgrade():
    op.drop_column("articles", "remark")
    op.drop_column("events", "remark")
'''


@pytest.fixture
def settings(tmp_path: Path, kafka: str, empty_postgres_url: str) -> Settings:
    return server_settings(tmp_path / "data", kafka, empty_postgres_url)


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older version's files."""
    command = ["git", "-C", str(ROOT), "archive", OLD, *PARTS, *(f":!{path}" for path in WITHOUT)]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode:
        reason = (
            f"NO OLDER VERSION: {packed.stderr.decode().strip()} (a clone without history?); nothing has been checked"
        )
        unavailable(reason)
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version to come: this one with one more migration, and with a model that knows one more word."""
    folder = tmp_path_factory.mktemp("later")
    left_out = {str(ROOT / path) for path in WITHOUT}

    def ignored(at: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or f"{at}/{name}" in left_out]

    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    (folder / "ingest/storage/migrations/versions/9001_remark.py").write_text(MIGRATION, encoding="utf-8")
    replace(folder / "ingest/storage/tables.py", f'HEAD = "{HEAD}"', 'HEAD = "9001"')
    coder = folder / "tests/ingest/keyword_coder.py"
    replace(coder, 'ModelInfo("keywords", "1")', 'ModelInfo("keywords", "2")')
    replace(coder, '    "met": (', '    "spoke": ("CONSULT", "verbal_cooperation", "040", 1.0, None),\n    "met": (')
    return folder


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def worker(root: Path = ROOT, **options: float) -> Workers:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        started.append(Workers(settings, root=root, **options))  # type: ignore[arg-type]
        return started[-1]

    yield worker
    for each in started:
        each.close()
