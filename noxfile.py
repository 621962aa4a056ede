"""Sessions of development. `nox` alone runs what every change must pass: lint, typing, tests."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
# Which Keras came out with which TensorFlow, oldest supported first. Python 3.11 has wheels of all of them.
RELEASES = (("2.16.2", "3.3.3"), ("2.18.1", "3.6.0"), ("2.20.0", "3.12.0"), ("2.21.0", "3.15.1"))


def _group(name: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, name)  # type: ignore[return-value]


def _install_wheel(session: nox.Session, *extras: str) -> None:
    """Install the built wheel, so that what is tested is what users get."""
    with tempfile.TemporaryDirectory() as folder:
        session.run(
            "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT), silent=True
        )
        wheel = next(Path(folder).glob("*.whl"))
        session.install(f"{wheel}[{','.join(extras)}]" if extras else str(wheel))
        # The version is the same after every change, so pip leaves an older wheel of it in place unless forced.
        session.install("--quiet", "--force-reinstall", "--no-deps", str(wheel))


def _pytest(session: nox.Session, *args: str) -> None:
    """Run pytest away from the tree, so that the working tree cannot shadow the wheel."""
    env = {"PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run(
            "python", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT),
            "-o", f"cache_dir={folder}/cache", *args, env=env,
        )  # fmt: skip


def _require_full_coverage(session: nox.Session, report: Path) -> None:
    """Fail if a line or branch outside of `safeload.runtime` and `safeload.cli` was not run by a test."""
    files = json.loads(report.read_text())["files"]
    static = {name: facts for name, facts in files.items() if not re.search(r"safeload/(runtime|cli)/", name)}
    gaps = {name: facts for name, facts in static.items() if facts["missing_lines"] or facts["missing_branches"]}
    for name, facts in gaps.items():
        session.warn(f"{name}: lines {facts['missing_lines']}, branches {facts['missing_branches']}")
    if gaps:
        session.error(f"{len(gaps)} modules of the static side are not fully covered")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and the contracts of the layers."""
    session.install(*_group("lint"), "typing-extensions")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", env={"PYTHONPATH": str(ROOT)})


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install(*_group("typing"))
    session.run("mypy")


@nox.session
def pyright(session: nox.Session) -> None:
    """Pyright on the file that uses everything public, and on the types of all that the built wheel exports."""
    session.install("--no-deps", str(ROOT))
    session.install(*_group("pyright"))
    with tempfile.TemporaryDirectory() as folder:  # away from the tree, which has no py.typed above it
        checked = Path(folder) / "public_api.py"
        checked.write_text((ROOT / "tests" / "type_checks" / "public_api.py").read_text("utf-8"), "utf-8")
        (Path(folder) / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
        with session.chdir(folder):
            session.run("basedpyright")
            session.run("basedpyright", "--verifytypes", "safeload", "--ignoreexternal")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests on the built wheel with the newest releases; every branch of the static side is covered."""
    _install_wheel(session, "keras2")
    session.install(*_group("test"))
    if session.posargs:
        _pytest(session, *session.posargs)
        return
    coverage = Path(session.create_tmp()).resolve() / "coverage.json"
    _pytest(
        session,
        str(ROOT / "tests"),
        "--cov",
        f"--cov-config={ROOT / 'pyproject.toml'}",
        f"--cov-report=json:{coverage}",
    )
    _require_full_coverage(session, coverage)


@nox.session
@nox.parametrize("tensorflow,keras", RELEASES)
def releases(session: nox.Session, tensorflow: str, keras: str) -> None:
    """The same tests with one release of TensorFlow and the Keras of its time."""
    _install_wheel(session)
    minor = ".".join(tensorflow.split(".")[:2])
    session.install(f"tensorflow=={tensorflow}", f"keras=={keras}", f"tf-keras=={minor}.*", *_group("test"))
    _pytest(session, str(ROOT / "tests"), *session.posargs)


@nox.session(name="property")
def property_tests(session: nox.Session) -> None:
    """Long tests of properties and of endurance."""
    _install_wheel(session, "keras2")
    session.install(*_group("test"))
    _pytest(session, str(ROOT / "tests"), "-m", "property", "--hypothesis-profile=nightly", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure safeload against the loaders it stands in for, and write the note's tables, its plot and their JSON.

    Some rows only, printed: ``nox -s bench -- --only "load bert" call``; whether it runs: ``-- --quick --tiny``.
    """
    _install_wheel(session, "keras2")
    session.install(*_group("bench"))
    note = ROOT / "docs" / "explanation" / "performance.md"
    written = ["--document", note, "--out", note.with_suffix(".json"), "--plot", note.with_suffix(".svg")]
    scratch = Path(session.create_tmp()).resolve()
    printed = ["--out", scratch / "benchmarks.json", "--plot", scratch / "benchmarks.svg", *session.posargs]
    env = {"PYTHONPATH": str(ROOT / "tests"), "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "benchmarks.run", *map(str, printed if session.posargs else written), env=env)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; every warning is an error."""
    session.install("-e", ".", *_group("docs"))
    session.run("sphinx-build", "-n", "-W", "docs", "docs/_build/html")
