"""The command line: what it prints, where, and its exit codes."""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile

import pytest
from hostile.keras_configs import ATTACKS, entry, functional

import safeload
from safeload.cli import _verdict, main
from safeload.cli._tree import find_artifacts

CONTROL = "\x1b]0;owned\x07\u202ename"


@pytest.fixture
def make(tmp_path):
    """Writes a Keras archive with a config and empty weights."""
    import h5py

    def write(name, config):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = io.BytesIO()
        with h5py.File(weights, "w") as file:
            file.create_group("layers")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-01"}))
            archive.writestr("model.weights.h5", weights.getvalue())
        return path

    return write


def test_show_prints_the_report(make, capsys):
    """A model that is not refused: its report on standard output, exit code 0."""
    assert main(["show", str(make("m.keras", functional()))]) == 0
    out, err = capsys.readouterr()
    assert "m.keras: fine\n  would load  through keras" in out
    assert err == ""


def test_check_of_a_url(capsys):
    """A URL is said to be one, by both commands."""
    for command in ("show", "check"):
        assert main([command, "https://example.com/m.keras"]) == 2
        assert "is a URL" in "".join(capsys.readouterr())


def test_version(capsys):
    """``--version`` needs no command."""
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert (exit_.value.code, capsys.readouterr().out) == (0, f"safeload {safeload.__version__}\n")


def test_show_prints_json(make, capsys):
    """Data has the version of its schema."""
    assert main(["show", "--format", "json", str(make("m.keras", functional()))]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


def test_show_all(make, capsys):
    """Long lists are cut with a count, and whole on request."""
    path = str(make("m.keras", functional(*(entry("Dense", f"d{i}", source="inp", units=1) for i in range(99)))))
    main(["show", path])
    assert "more (safeload show --all)" in capsys.readouterr().out
    main(["show", "--all", path])
    out = capsys.readouterr().out
    assert "d98 (Dense)" in out
    assert "--all" not in out


def test_a_refused_model_has_its_own_exit_code(make, capsys):
    """Findings are exit code 1, for one file and for a tree."""
    path = make("m.keras", ATTACKS["lambda"][0])
    assert main(["show", str(path)]) == 1
    assert main(["check", str(path.parent)]) == 1
    assert f"refused    {path}\n    lambda-bytecode: " in capsys.readouterr().out


def test_errors_are_three_lines_on_standard_error(tmp_path, capsys):
    """What is wrong, what to do, the code; no traceback."""
    assert main(["show", str(tmp_path / "absent.h5")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()[1:]] == ["  hint", "  code"]
    assert "does not exist" in err


def test_what_is_no_model_has_its_own_exit_code(tmp_path, capsys):
    """Exit code 3 where nothing was recognised."""
    (tmp_path / "notes.bin").write_bytes(b"\x00\x01\x02" * 99)
    assert main(["show", str(tmp_path / "notes.bin")]) == 3
    assert main(["check", str(tmp_path)]) == 3
    assert f"unknown    {tmp_path / 'notes.bin'}\n" in capsys.readouterr().out
    (tmp_path / "notes.bin").unlink()
    assert main(["check", str(tmp_path)]) == 3
    assert capsys.readouterr().out == "there are no files to check\n"


def test_check_goes_through_a_tree(make, tmp_path, capsys):
    """Every artifact has a row; a broken one has its error, and decides the exit code over a refused one."""
    make("a/m.keras", functional())
    make("a/needs.keras", functional(entry("Scale", "s", module="mine", source="inp")))
    make("a/refused.keras", ATTACKS["lambda"][0])
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert main(["check", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert f"fine       {tmp_path}/a/m.keras\n" in out
    assert f"fine       {tmp_path}/a/needs.keras (loading it: custom-object-not-found)\n" in out
    assert f"error      {tmp_path}/b.h5\n    " in out
    assert "      hint: " in out


def test_check_prints_json(make, tmp_path, capsys):
    """One list, with a report or an error for each artifact."""
    make("m.keras", functional())
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert main(["check", "--format", "json", str(tmp_path)]) == 2
    broken, fine = json.loads(capsys.readouterr().out)
    assert (broken["verdict"], broken["code"]) == ("error", "malformed-artifact")
    assert (fine["verdict"], fine["report"]["schema"]) == ("fine", 1)
    assert main(["check", str(tmp_path / "m.keras")]) == 0
    (tmp_path / "notes").write_bytes(b"\x01\x02")
    capsys.readouterr()
    assert main(["check", "--format", "json", str(tmp_path / "notes")]) == 3
    assert [row["verdict"] for row in json.loads(capsys.readouterr().out)] == ["unknown"]


def test_names_cannot_write_to_the_terminal(make, capsys):
    """Escape sequences, direction marks and lone surrogates in names are shown, not sent."""
    path = str(make(f"m{CONTROL}.keras", functional(entry("Dense", f"{CONTROL}\ud800", source="inp", units=1))))
    for arguments in (["show", path], ["show", "--all", path], ["check", path], ["show", path + "absent"]):
        main(arguments)
        out, err = capsys.readouterr()
        assert "\\x1b]0;owned\\x07\\u202ename" in out + err
        assert (out + err).replace("\n", "").isprintable()


def test_a_terminal_sees_progress(make, monkeypatch, capsys):
    """On a terminal the artifact that is being looked at is named and wiped away."""
    path = make("m.keras", functional())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main(["check", str(path)])
    _, named, wiped, _ = capsys.readouterr().err.split("\r")
    assert named.startswith(f"1: {path}"[:40])
    assert wiped.isspace()
    assert len(wiped) >= len(named)


class Screen(io.StringIO):
    """A terminal that keeps what it is shown."""

    encoding = "utf-8"

    def isatty(self):
        """Whether programs may draw."""
        return True


@pytest.fixture
def screen(monkeypatch):
    """Standard output and error are terminals; the function runs a command at a width and returns what both show."""

    def run(*arguments, columns=80, **environment):
        for name, value in {"TERM": "xterm", "NO_COLOR": "", "COLUMNS": str(columns), **environment}.items():
            monkeypatch.setenv(name, value)
        streams = Screen(), Screen()
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        main([str(argument) for argument in arguments])
        return tuple(stream.getvalue() for stream in streams)

    return run


@pytest.mark.parametrize("command", ["show", "check"])
def test_an_empty_path_is_an_error(command, capsys):
    """It is an unset variable of a shell, not the working directory."""
    assert main([command, ""]) == 2
    assert "'' is not a path" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "check"])
def test_verdicts_are_coloured_on_a_terminal_alone(make, screen, capsys, command):
    """Colour stands for nothing that the words do not say; NO_COLOR and a dumb terminal have none."""
    path = make("m.keras", ATTACKS["lambda"][0])
    main([command, str(path)])
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    coloured = screen(command, path)[0]
    assert "\x1b[1;31mrefused" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).split() == plain.split()
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in screen(command, path, **environment)[0]


def test_a_dumb_terminal_sees_no_progress(make, screen):
    """What cannot go back to the start of a line is not drawn upon."""
    assert "\r" not in screen("check", make("m.keras", functional()), TERM="dumb")[1]


@pytest.mark.parametrize("columns", [80, 200])
def test_check_fits_a_terminal(make, screen, capsys, columns):
    """Findings and hints are broken to the width between words; a pipe gets each in one line."""
    path = make("m.keras", ATTACKS["lambda"][0])
    assert main(["check", str(path)]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2
    lines = screen("check", path, columns=columns, NO_COLOR="1")[0].splitlines()[1:]
    assert max(map(len, lines)) <= columns
    assert (len(lines) > 1) == (columns == 80)


def test_interrupted(make, monkeypatch):
    """Ctrl-C leaves no traceback."""
    monkeypatch.setattr("safeload._load.inspect_model", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["show", "x"]) == 130


def test_a_closed_pipe_does_not_change_the_verdict(make):
    """Nobody reading is no error, and no traceback."""
    path = str(make("m.keras", functional()))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "safeload", "show", path]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, env=_environment())
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only systems with /dev/full can tell that a disk is full")
@pytest.mark.parametrize("arguments", [["show"], ["show", "--format=json"], ["check"], ["check", "--format=json"]])
@pytest.mark.parametrize(
    ("to", "problem"), [(">/dev/full", "cannot be written: No space left"), (">&-", "no standard output")]
)
def test_output_that_is_lost_is_an_error(make, arguments, to, problem):
    """A line says so, and no exit code that means a verdict."""
    command = [sys.executable, "-m", "safeload", *arguments, str(make("m.keras", functional()))]
    for errors, said in (("", problem), (" 2>&-", "")):
        done = subprocess.run(
            f"{shlex.join(command)} {to}{errors}", shell=True, stderr=subprocess.PIPE, check=False, env=_environment()
        )
        assert done.returncode == 2
        assert said in done.stderr.decode()
        assert len(done.stderr.splitlines()) == bool(said)


def test_a_terminal_without_unicode(make):
    """Characters that the encoding lacks are escaped."""
    path = str(make("m.keras", functional(*(entry("Dense", f"é{i}", source="inp", units=1) for i in range(99)))))
    command = [sys.executable, "-m", "safeload", "show", path]
    environment = {**_environment(), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0
    assert rb"\xe90 (Dense)" in done.stdout
    assert rb"\u2026 and " in done.stdout


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_wrong_usage_is_an_error(capsys):
    """Without a command the usage is printed, with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: safeload" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "check"])
def test_help_names_the_exit_codes(command, capsys):
    """The help of a command says what its exit codes mean."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "exit codes: 0 " in capsys.readouterr().out


def test_check_skips_what_is_no_model(make, tmp_path, capsys):
    """Documents beside a model are no error; what is dangerous to read is, and so is what is named like a model."""
    make("m.keras", functional())
    (tmp_path / "README.md").write_text("# A model")
    (tmp_path / "tokenizer.json").write_text('{"words": ["a", "b"]}')
    (tmp_path / "labels.pbtxt").write_text("red green\n")
    (tmp_path / "tool").write_bytes(b"\x7fELF" + bytes(99))
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"fine       {tmp_path}/m.keras\nskipped    4 that are no models (--format json names them)\n"
    )
    main(["check", "--format", "json", str(tmp_path)])
    rows = {row["path"].rpartition("/")[2]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["README.md"] == {"path": f"{tmp_path}/README.md", "verdict": "skipped", "kind": "a text file"}
    for name, content in (("list.bin", b"\x80\x04]q"), ("page.h5", b"<html>"), ("prog.keras", b"\x7fELF" + bytes(9))):
        path = tmp_path / name
        path.write_bytes(content)
        assert main(["check", str(tmp_path)]) == 2
        assert f"error      {path}\n" in capsys.readouterr().out
        path.unlink()
    assert main(["check", str(tmp_path / "README.md")]) == 2


def test_check_of_no_models_at_all(tmp_path, capsys):
    """A tree of documents is nothing recognised."""
    (tmp_path / "README.md").write_text("# A model")
    assert main(["check", str(tmp_path)]) == 3
    assert capsys.readouterr().out.startswith("skipped    1 ")


def test_the_tree_holds_models_not_their_parts(tmp_path):
    """A SavedModel counts as one with its parts; what else lies beside them counts, hidden files and links do not."""
    export = tmp_path / "export"
    (export / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "fingerprint.pb", "variables/variables.index", "other.h5", "README.md"):
        (export / name).touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "m.h5").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = {(path.relative_to(tmp_path).as_posix(), is_given) for path, is_given in find_artifacts([tmp_path])}
    assert found == {("export", True), ("export/README.md", False), ("export/other.h5", False), ("m.h5", False)}


def test_weights_beside_other_models_are_one_artifact(tmp_path, capsys):
    """Keras 2 writes weights as a checkpoint, and the file that names it, into any folder."""
    import tensorflow as tf

    tf.train.Checkpoint(v=tf.Variable([1.0])).save(str(tmp_path / "weights"))
    (tmp_path / "m.json").write_text('{"class_name": "Sequential", "config": {"layers": []}}')
    main(["check", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == [
        str(tmp_path / "weights-1"),
        str(tmp_path / "m.json"),
    ]


def test_a_checkpoint_does_not_hide_what_lies_beside_it(tmp_path):
    """A folder of training holds checkpoints and exported models."""
    for name in ("checkpoint", "a.ckpt.index", "a.ckpt.data-00000-of-00001", "a.ckpt.meta", "graph.pbtxt"):
        (tmp_path / name).touch()
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "m.h5").touch()
    assert [path for path, _ in find_artifacts([tmp_path])] == [tmp_path, tmp_path / "export" / "m.h5"]


def test_a_directory_that_cannot_be_listed_counts_as_one(tmp_path, monkeypatch):
    """Inspecting it says why."""
    monkeypatch.setattr("pathlib.Path.iterdir", lambda _: (_ for _ in ()).throw(PermissionError))
    assert [path for path, _ in find_artifacts([tmp_path])] == [tmp_path]


def test_directories_in_directories_by_the_hundred(tmp_path, monkeypatch):
    """However deep a tree is, everything in it is found."""
    path = tmp_path.joinpath(*["d"] * 300)
    path.mkdir(parents=True)
    (path / "m.h5").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert [found.path for found in find_artifacts([tmp_path])] == [path / "m.h5"]
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("name", ["x" * 5000, "\0", "\udc80\ud800"])
def test_names_that_no_file_can_have(name, capsys):
    """They are reported like those of absent files."""
    assert main(["check", name]) == 2
    assert "code: artifact-not-found" in capsys.readouterr().out


def test_what_a_directory_lists_and_denies(tmp_path, monkeypatch, capsys):
    """A directory may be listed while nothing in it may be opened: that is said of each file."""
    (tmp_path / "m.h5").touch()

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(os, "open", denied)
    found = list(find_artifacts([tmp_path / "m.h5"]))
    assert _verdict(found[0].path, is_given=True).code == "artifact-not-found"


def test_demo_compares(monkeypatch, capsys):
    """The table has a row per model, and the exit code says whether all outputs are equal."""
    from safeload.cli import _demo

    rows = [
        _demo.DemoRow("one", "equal", "equal", agrees=True),
        _demo.DemoRow("two", "E" * 99, "ValueError: no", agrees=False),
    ]
    monkeypatch.setattr(_demo, "run_demo", lambda: rows)
    assert main(["demo"]) == 2
    assert "safeload: 1 of 2 equal; standard loaders: 1" in capsys.readouterr().out
    monkeypatch.setattr(_demo, "run_demo", lambda: rows[:1])
    assert main(["demo"]) == 0


def test_demo_judges_by_the_outputs(monkeypatch):
    """A row agrees where safeload gives the numbers of the maker; errors and other numbers are named."""
    from safeload.cli import _demo, _models

    recipe = next(r for r in _models.RECIPES if r.id == "keras-keras-archive-mlp")
    monkeypatch.setattr(_models, "RECIPES", (recipe,))
    assert _demo.run_demo() == [_demo.DemoRow(recipe.id, "equal", "equal", agrees=True)]
    monkeypatch.setattr("safeload._load.load_callable", lambda path: lambda x: 0 * x[:, :3])
    assert _demo.run_demo() == [_demo.DemoRow(recipe.id, "equal", "OTHER NUMBERS", agrees=False)]

    def fail(path):
        raise ValueError("\nno model")

    monkeypatch.setattr("safeload._load.load_callable", fail)
    assert _demo.run_demo() == [_demo.DemoRow(recipe.id, "equal", "ValueError: no model", agrees=False)]
