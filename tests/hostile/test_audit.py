"""What refusing hostile files does to the host: nothing, as the interpreter's own audit events tell.

Source of the events: PEP 578 and https://docs.python.org/3/library/audit_events.html.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import h5py
import pytest
from hostile.graphs import HOSTILE, benign, simple
from hostile.keras_configs import ATTACKS, functional

from safeload.readers.protobuf import message_class

_PROGRAM = textwrap.dedent(
    """
    import json, os, sys
    from safeload import inspect_model, load_callable
    from safeload.errors import SafeloadError

    def look(path):
        for verb in (inspect_model, load_callable):
            try:
                outcome = verb(path)
            except SafeloadError as error:
                outcome = error
        return type(outcome).__name__

    warm, hostile, root = json.loads(sys.stdin.read())
    for path in warm:
        inspect_model(path)
    look(hostile[0]), look(hostile[-1])
    seen = []
    WATCHED = ("open", "import", "os.", "subprocess.", "socket.", "marshal.", "pickle.", "exec", "ctypes.", "shutil.",
               "tempfile.", "webbrowser.", "urllib.", "http.", "ftplib.", "glob.", "code.")
    HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")

    def hook(event, arguments):
        if recording and event.startswith(WATCHED):
            if event in HARMLESS or (event == "open" and is_own(arguments[0])):
                return
            seen.append([current, event, ascii(arguments)[:200]])

    def is_own(path):
        return isinstance(path, int) or os.path.realpath(os.fsdecode(path)).startswith(root)

    recording = False
    sys.addaudithook(hook)
    outcomes = {}
    for current in hostile:
        recording = True
        outcome = look(current)
        recording = False
        outcomes[current] = outcome
    modules = [name for name in ("tensorflow", "keras", "tf_keras", "this", "antigravity") if name in sys.modules]
    print(json.dumps([outcomes, seen, modules]))
    """
)


def _archive(path, config):
    with h5py.File(path.with_suffix(".h5"), "w") as weights:
        weights.create_group("layers")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", json.dumps(config))
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    path.with_suffix(".h5").unlink()
    return str(path)


def _hdf5(path, config, **links):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = []
        for name, link in links.items():
            group[name] = link
    return str(path)


def _saved_model(path, made):
    path.mkdir()
    (path / "saved_model.pb").write_bytes(message_class("SavedModel")(meta_graphs=[made]).SerializeToString())
    (path / "assets").mkdir()
    (path / "assets" / "vocab.txt").write_text("a\n")
    return str(path)


def _external(path, bait):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(functional())
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = []
        group.create_dataset("x", (4,), "float32", external=[(str(bait), 0, 16)])
    return str(path)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Outcome of each hostile file, the audit events meanwhile, and which heavy modules were loaded in the end."""
    root = tmp_path_factory.mktemp("files")
    bait = tmp_path_factory.mktemp("bait") / "pipe"
    os.mkfifo(bait)  # whoever opens it waits for ever
    warm = [_archive(root / "w.keras", functional()), _hdf5(root / "w.h5", functional())]
    warm.append(_saved_model(root / "w", simple()))
    hostile = [_archive(root / f"{name}.keras", config) for name, (config, _) in ATTACKS.items()]
    hostile += [_hdf5(root / f"{name}.h5", config) for name, (config, _) in ATTACKS.items()]
    hostile += [_external(root / "external.h5", bait)]
    hostile += [_hdf5(root / "link.h5", functional(), far=h5py.ExternalLink(str(bait), "/x"))]
    hostile += [_saved_model(root / f"g_{name}", build()) for name, (build, _) in HOSTILE.items()]
    package = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package}
    given = json.dumps([warm, hostile, str(root.resolve())])
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROGRAM], input=given, capture_output=True, text=True, timeout=300, env=environment
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_hostile_file_is_refused(observed):
    """Each attack ends in an error of safeload."""
    outcomes, _, _ = observed
    assert {path: name for path, name in outcomes.items() if not name.endswith("Error")} == {}


def test_refusing_touches_nothing_but_the_file(observed):
    """No other file is opened, nothing imported, started, connected, unmarshalled or unpickled."""
    _, seen, _ = observed
    assert seen == []


def test_refusing_loads_no_framework(observed):
    """Neither TensorFlow nor Keras nor a module that a file names is loaded."""
    _, _, modules = observed
    assert modules == []


def test_the_hook_would_notice(tmp_path):
    """The events watched for are those that a payload causes."""
    program = textwrap.dedent(
        """
        import sys
        seen = []
        sys.addaudithook(lambda event, arguments: seen.append(event))
        import marshal, pickle, subprocess, socket, this
        marshal.loads(marshal.dumps(compile("1", "x", "eval")))
        open("canary", "w").close()
        subprocess.run([sys.executable, "-c", ""])
        socket.socket().close()
        print(sorted({"open", "import", "marshal.loads", "subprocess.Popen", "socket.__new__"} - set(seen)))
        """
    )
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_ordinary_graph_is_not_refused(tmp_path):
    """The graphs that the attacks are planted in load to a verdict without refusal."""
    from safeload import inspect_model

    assert not inspect_model(_saved_model(tmp_path / "m", benign())).is_refused
