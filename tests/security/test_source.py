"""What the shipped code never does, whatever a comment tells the linter: run, load or unpickle what comes from outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in ("flows", "ingest", "models") for path in (ROOT / folder).rglob("*.py"))

# A tool that is run to build the data: its unpickler refuses every class and function.
ALLOWED = {"models/resolve/build_gazetteer.py:16: import pickle"}
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
# By the last two parts of their names.
CALLS = {
    "os.system",
    "os.popen",
    "yaml.full_load",
    "yaml.full_load_all",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
    "pandas.eval",
    "pandas.read_pickle",
    "pd.eval",
    "pd.read_pickle",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader"}
ARGUMENTS = {"shell": True, "allow_pickle": True, "weights_only": False, "trust_remote_code": True}


def offences(source: str) -> Iterator[str]:
    """Each line that does what it must not, as `number: what`."""
    for node in ast.walk(ast.parse(source)):
        at = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from (f"{at}: import {name}" for name in names & MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").partition(".")[0]
            if not node.level and module in MODULES:
                yield f"{at}: import {module}"
            called = {f"{module}.{alias.name}" for alias in node.names}
            yield from (f"{at}: import {name}" for name in called & CALLS)
        elif isinstance(node, ast.Call):
            yield from (f"{at}: {what}" for what in _calls(node))


def _calls(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in BUILTINS or name.removeprefix("builtins.") in BUILTINS - {"compile"}:
        yield f"{name}()"
    if ".".join(name.split(".")[-2:]) in CALLS:
        yield f"{name}()"
    if name == "yaml.load":
        loaders = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "Loader")]
        if not any(ast.unparse(loader).rpartition(".")[2] in SAFE_LOADERS for loader in loaders):
            yield "yaml.load() without a SafeLoader"
    for each in node.keywords:
        # A value that is no constant may be anything.
        if each.arg in ARGUMENTS and getattr(each.value, "value", ARGUMENTS[each.arg]) == ARGUMENTS[each.arg]:
            yield f"{name}({each.arg}={ast.unparse(each.value)})"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p  # noqa: S403",
        "from pickle import loads",
        "def f():\n    import dill.source",
        "eval('1')",
        "builtins.exec(text)",
        "__import__(name)",
        "from os import system",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=shell)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "numpy.load(path, allow_pickle=True)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_each_way_to_run_foreign_code_is_seen(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "source",
    [
        "re.compile('a')",
        "json.loads(text)",
        "model.eval()",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
        "subprocess.run(['ls'], shell=False)",
        "numpy.load(path, allow_pickle=False)",
        "torch.load(path, weights_only=True)",
        "torch.load(path)",  # plain data, as of torch 2.6
        "from .pickle import brine",
    ],
)
def test_what_is_safe_is_not_taken_for_an_offence(source: str) -> None:
    assert not list(offences(source))


def test_no_shipped_code_runs_loads_or_unpickles_what_comes_from_outside() -> None:
    assert len(FILES) > 100
    found = [
        f"{path.relative_to(ROOT)}:{each}" for path in FILES for each in offences(path.read_text(encoding="utf-8"))
    ]
    assert set(found) == ALLOWED
