"""The corpus keeps to its codebook, and the development split never changes."""

import hashlib
from pathlib import Path

import pytest

from models.corpus import validate

CORPUS = Path(validate.__file__).parent


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl")), ids=lambda path: path.name)
def test_every_part_keeps_to_the_codebook(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not validate.main([str(path)]), capsys.readouterr().out


def test_no_sentence_stands_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert not validate.main([str(path) for path in sorted(CORPUS.glob("*.jsonl"))]), capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("part-5.jsonl", "030e98863f63d58ae81167fddf2ffeced0bfb29f58b48b2c3c6464337e32cc76"),
        ("articles-1.jsonl", "297ad1dec356df31adf3ca094812aa95625922ec2a027d65bd084715388c5a8d"),
    ],
)
def test_the_development_split_is_frozen(name: str, digest: str) -> None:
    assert hashlib.sha256((CORPUS / name).read_bytes()).hexdigest() == digest
