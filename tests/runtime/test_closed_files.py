"""Importing a graph computes what follows from its constants; no file is opened for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from saved_models import Saved, rewritten, save_tf1
from tensorflow.core.framework import node_def_pb2
from tensorflow.python.framework import op_def_registry

from safeload.inspection.op_classes import op_table
from safeload.policy.graph import _ops
from safeload.runtime._saved_model._closed_files import STATELESS_READERS


def _reading(path: str, suffix: str) -> list[Any]:
    """Make nodes with a shape that is read from the file *path*; *suffix* is added to names of first outputs."""
    nodes = [
        node_def_pb2.NodeDef(name="bait", op="Const"),
        node_def_pb2.NodeDef(name="read", op="ReadFile", input=[f"bait{suffix}"]),
        node_def_pb2.NodeDef(name="shape", op="DecodeRaw", input=["read:contents:0" if suffix else "read"]),
        node_def_pb2.NodeDef(name="value", op="Const"),
        node_def_pb2.NodeDef(name="shaped", op="Reshape", input=[f"value{suffix}", f"shape{suffix}"]),
    ]
    for index, content in ((0, path), (3, [1.0, 2.0])):
        nodes[index].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(content))
        nodes[index].attr["dtype"].type = nodes[index].attr["value"].tensor.dtype
    nodes[2].attr["out_type"].type = nodes[4].attr["Tshape"].type = tf.int32.as_datatype_enum
    nodes[4].attr["T"].type = tf.float32.as_datatype_enum
    return nodes


@pytest.mark.parametrize("era", [1, 2])
def test_what_is_left_behind_opens_no_file(saved: Saved, era: int, tmp_path: Path) -> None:
    """Neither in a function nor in the graph; the file is a pipe that nobody writes to, and opening it hangs."""
    bait, path = tmp_path / "bait", tmp_path / "model"
    os.mkfifo(bait)
    if era == 1:
        save_tf1(str(path), use_resource=True)
    else:
        shutil.copytree(saved("module"), path)
    with rewritten(path) as message:
        graph = message.meta_graphs[0].graph_def
        forgotten = graph.library.function.add()
        forgotten.signature.name = "forgotten"
        forgotten.node_def.extend(_reading(str(bait), ":output:0"))
        graph.node.extend(_reading(str(bait), ""))
    script = f"import safeload; print(safeload.load_callable({str(path)!r}).model is not None)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "True"


def test_path_that_stood_for_an_asset(tmp_path: Path) -> None:
    """An asset is fed; the constant in its place, whatever it names, is not read before."""
    bait, path = tmp_path / "bait", tmp_path / "model"
    os.mkfifo(bait)
    save_tf1(str(path), use_resource=True)
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "shape").write_bytes(b"\2\0\0\0")
    with rewritten(path) as message:
        made = message.meta_graphs[0]
        made.graph_def.node.extend(_reading(str(bait), ""))
        made.asset_file_def.add(filename="shape").tensor_info.name = "bait:0"
        made.collection_def.pop("legacy_init_op", None)
        made.collection_def["saved_model_main_op"].node_list.value[:] = ["shaped"]
    script = f"import safeload; print(safeload.load_callable({str(path)!r}).model is not None)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "True"


def test_table_of_stateless_ops() -> None:
    """Every stateless op that may be left behind is kept closed, refused, or needs an object that is not stateless.

    Others of them give or change tensors of this one computation, of which a shape is all that is kept.
    """
    kept = {
        name
        for name, kind in op_table().classes.items()
        if kind in _ops._LEFT_BEHIND - {"in-place", "uninitialised"}
        and (definition := op_def_registry.get(name)) is not None
        and not definition.is_stateful
        and not any(argument.is_ref or argument.type == tf.resource for argument in definition.input_arg)
    }
    assert kept == {*_ops._COMPUTED_AT_IMPORT, *STATELESS_READERS}
