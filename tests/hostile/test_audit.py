"""What refusing hostile files does to the host: nothing, as the interpreter's own audit events tell.

Source of the events: PEP 578 and https://docs.python.org/3/library/audit_events.html.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import h5py
import pytest
from bytes_by_hand import special, tarred, zipped
from flatbuffers_by_hand import model as flatbuffer
from flatbuffers_by_hand import serialize, table
from hostile.graphs import HOSTILE, benign
from hostile.keras_configs import ATTACKS, functional, keras2
from hostile.nodes import function, node, simple, text
from keras_files import archive, model_h5

from safeload import inspect_model
from safeload.readers.protobuf import message_class

_PROGRAM = textwrap.dedent(
    """
    import json, os, sys
    from safeload import inspect_model, load_callable
    from safeload.errors import SafeloadError

    def look(path, *verbs):
        for verb in verbs:
            try:
                outcome = verb(path)
            except SafeloadError as error:
                outcome = error
        return type(outcome).__name__

    warm, hostile, root = json.loads(sys.stdin.read())
    for path in warm:
        look(path, inspect_model)
    for path in (hostile[0], hostile[-1]):
        look(path, inspect_model, load_callable)
    seen = []
    WATCHED = ("open", "import", "os.", "subprocess.", "socket.", "marshal.", "pickle.", "exec", "ctypes.", "shutil.",
               "tempfile.", "webbrowser.", "urllib.", "http.", "ftplib.", "glob.", "code.")
    HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")
    OWN = ("open", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", "tempfile.mkdtemp",
           "tempfile.mkstemp")  # within the directory of the test, where temporary files are, too

    def hook(event, arguments):
        if recording and event.startswith(WATCHED):
            if event in HARMLESS or (event in OWN and is_own(arguments[0])):
                return
            seen.append([current, event, ascii(arguments)[:200]])

    def is_own(path):
        if isinstance(path, int):
            return True
        path = os.fsdecode(path)
        if path == current:
            return True
        # What is below an opened directory has a relative name; there the bait, which waits for ever, would tell.
        return os.path.realpath(path).startswith(root) or (not os.path.isabs(path) and ".." not in path)

    recording = False
    sys.addaudithook(hook)
    outcomes = {}
    for current in hostile:
        recording = True
        outcome = look(current, inspect_model, load_callable)
        recording = False
        outcomes[current] = outcome
    modules = [name for name in ("tensorflow", "keras", "tf_keras", "this", "antigravity") if name in sys.modules]
    print(json.dumps([outcomes, seen, modules]))
    """
)


def _written(path, content):
    path.write_bytes(content)
    return str(path)


def _keras_files(root, name, config):
    """Make a model in both containers of Keras."""
    yield _written(root / f"{name}.keras", archive({"config.json": json.dumps(config)}))
    yield _written(root / f"{name}.h5", model_h5(config=config, version="3.15.1"))


def _saved_model(path, made):
    path.mkdir()
    (path / "saved_model.pb").write_bytes(message_class("SavedModel")(meta_graphs=[made]).SerializeToString())
    (path / "assets").mkdir()
    (path / "assets" / "vocab.txt").write_text("a\n")
    return str(path)


def _elsewhere(root, bait):
    """Make models in both containers of Keras with an array that lies in *bait*."""
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource(str(bait), "x", (4,))
    places = {
        "external": lambda group: group.create_dataset("x", (4,), "float32", external=[(str(bait), 0, 16)]),
        "link": lambda group: group.__setitem__("x", h5py.ExternalLink(str(bait), "/x")),
        "virtual": lambda group: group.create_virtual_dataset("x", layout),
    }
    for name, place in places.items():
        content = model_h5(lambda file: place(file["model_weights"]), functional(), version="3.15.1")
        yield _written(root / f"{name}.h5", content)
        members = {"config.json": json.dumps(functional()), "model.weights.h5": content}
        yield _written(root / f"{name}.keras", archive(members))


def _ordinary(root):
    """Make one harmless file of each kind, so that what reads it is imported before anything is watched."""
    made = message_class("SavedModel")(meta_graphs=[simple()])
    contents = {
        "w.zip": zipped({"m/saved_model.pb": made.SerializeToString()}),
        "w.tar.gz": tarred({"m/saved_model.pb": made.SerializeToString()}, mode="w:gz"),
        "w.tflite": serialize(flatbuffer()),
        "w.pb": made.meta_graphs[0].graph_def.SerializeToString(),
        "w.ckpt.index": b"",
        "w.ckpt.meta": made.meta_graphs[0].SerializeToString(),
        "w.bin": b"",
        "w.json": json.dumps(functional(keras2("Dense", units=1))).encode(),  # of an earlier Keras
        "w2.h5": model_h5(lambda file: file.create_dataset("x", data=[1.0], chunks=(1,))),  # libhdf5 is asked
    }
    files = [_written(root / name, content) for name, content in contents.items()]
    return [*_keras_files(root, "w", functional()), _saved_model(root / "w", simple()), *files, str(root / "w.ckpt")]


def _archives(root, bait):
    """Make archives with paths, links, devices and names in them that lead out of them, or are there twice."""
    graph = message_class("SavedModel")(meta_graphs=[simple()]).SerializeToString()
    model = {"m/saved_model.pb": graph}
    link = zipfile.ZipInfo("m/assets/words")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    yield from (
        _written(root / f"{name}.zip", zipped(model, *added))
        for name, *added in (
            ("traversal", "../out"),
            ("absolute", str(bait)),
            ("link", (link, str(bait))),
            ("twice", ("M/../m/saved_model.pb", graph)),
            ("directory", ("m/saved_model.pb/", b"")),
        )
    )
    yield from (
        _written(root / f"{name}.tar.gz", tarred(model, added, mode="w:gz"))
        for name, added in (
            ("symlink", special("m/assets/words", tarfile.SYMTYPE, str(bait))),
            ("hardlink", special("m/assets/words", tarfile.LNKTYPE, str(bait))),
            ("fifo", special("m/assets/words", tarfile.FIFOTYPE)),
            ("device", special("m/assets/words", tarfile.CHRTYPE)),
            ("traversal", "../../out"),
        )
    )


def _linked(root, bait):
    """Make SavedModels of which a part is a link to *bait*."""
    for name in ("assets/vocab.txt", "variables", "saved_model.pb", "keras_metadata.pb"):
        path = root / f"linked_{name.replace('/', '_')}"
        _saved_model(path, benign())
        target = path / name
        target.unlink(missing_ok=True)
        target.symlink_to(bait.parent if name == "variables" else bait)
        yield str(path)


def _checkpoints(root, bait):
    """Make a checkpoint of TensorFlow 1 with a hostile graph, whose values lie elsewhere."""
    graph = simple(node("n", "ReadFile", "p:output:0"), text("p", str(bait)))
    hostile = root / "checkpoint" / "model.ckpt"
    hostile.parent.mkdir()
    hostile.with_name("model.ckpt.meta").write_bytes(graph.SerializeToString())
    hostile.with_name("model.ckpt.index").symlink_to(bait)
    hostile.with_name("checkpoint").write_text(f'model_checkpoint_path: "{bait}"\n')
    yield str(hostile)
    yield str(hostile.parent)
    yield str(hostile.with_name("model.ckpt.meta"))


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Outcome of each hostile file, the audit events meanwhile, and which heavy modules were loaded in the end."""
    root = tmp_path_factory.mktemp("files")
    bait = tmp_path_factory.mktemp("bait") / "pipe"
    os.mkfifo(bait)  # whoever opens it waits for ever
    warm = _ordinary(root)
    hostile = [path for name, (config, _) in ATTACKS.items() for path in _keras_files(root, name, config)]
    for build in (_elsewhere, _archives, _linked, _checkpoints):
        hostile += build(root, bait)
    unknown_op = serialize(flatbuffer(f1=[table(f0=("b", 127), f3=("i", 999))]))
    hostile += [_written(root / "m.tflite", unknown_op), str(bait)]
    hostile += [_saved_model(root / f"g_{name}", build()) for name, (build, _) in HOSTILE.items()]
    package = str(Path(__file__).parents[2])
    (root / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": package, "TMPDIR": str(root.resolve() / "temporary")}
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
    assert not inspect_model(_saved_model(tmp_path / "m", benign())).is_refused


_LOAD = """
import os, sys
import numpy as np
from safeload import load_callable

# Whatever opens this pipe from here on waits for ever: the test would not end.
for path in sys.argv[2:]:
    predict = load_callable(path)
    predict(np.ones((1, 4), "float32"))
print("ended")
"""


def test_loading_opens_nothing_that_only_unreached_parts_name(tmp_path):
    """What a graph names and never reaches, TensorFlow does not open when the model is loaded and called."""
    bait = tmp_path / "pipe"
    os.mkfifo(bait)
    build = (
        "import sys, tensorflow as tf\n"
        "m = tf.Module()\n"
        "m.f = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([None, 4], tf.float32, name='x')])\n"
        "tf.saved_model.save(m, sys.argv[1], signatures=m.f)\n"
    )
    source = tmp_path / "build.py"
    source.write_text(build)
    subprocess.run([sys.executable, str(source), str(tmp_path / "m")], check=True, capture_output=True)  # noqa: S603
    graph = tmp_path / "m" / "saved_model.pb"
    made = message_class("SavedModel").FromString(graph.read_bytes())
    reading = function("forgotten", [], ["r:contents:0"], text("p", str(bait)), node("r", "ReadFile", "p:output:0"))
    reading.signature.output_arg[0].type = 7
    made.meta_graphs[0].graph_def.library.function.append(reading)
    graph.write_bytes(made.SerializeToString())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _LOAD, str(bait), str(tmp_path / "m")],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert run.stdout.splitlines()[-1:] == ["ended"], run.stderr
