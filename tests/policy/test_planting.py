"""A dangerous part is found wherever it is planted in something harmless, and never makes the verdict better."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hostile.graphs import HOSTILE, benign
from hostile.keras_configs import (
    CODE,
    entry,
    function,
    functional,
    info_of,
    keras2,
    lambda_layer,
    lambda_value,
    refusing,
    wrapped,
)
from hostile.nodes import bodies, call, model, node, simple
from hostile.nodes import function as library_function
from hypothesis import given
from hypothesis import strategies as st
from keras_files import archive, model_h5, untraced

from safeload import inspect_model
from safeload.errors import SafeloadError
from safeload.inspection.op_classes import op_table
from safeload.policy import Severity, examine
from safeload.policy.graph._verdicts import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RELU = function("keras.ops", "relu")
HARMLESS_CONFIG = functional(
    functional(entry("Sequential", "inner", layers=[entry("Dense", "d", units=2, activation=_RELU)])),
    wrapped(entry("LSTM", "lstm", units=2), "Bidirectional"),
    entry("TimeDistributed", "twice", source="dense", layer=wrapped(entry("Dense", "deep", units=2))),
    lambda_layer(function("keras.ops", "add"), arguments={"y": [1, {"z": 2}]}, mask=None, output_shape=[2]),
    entry("RNN", "rnn", source="inp", cell=[entry("GRUCell", "cell", units=2), entry("LSTMCell", "other", units=2)]),
    entry("Mine", "mine", module="mine", registered_name="mine>Mine", options={"a": [{"b": None}]}),
    {**entry("Dense", "built", source="inp", units=2), "build_config": {"input_shape": [None, 4]}},
    entry("Embedding", "e", source="inp", embeddings_initializer=entry("Zeros", "z", module="keras.initializers")),
    keras2("TFOpLambda", function="math.add", inbound_nodes=[["inp", 0, 0, {"y": 1}]]),
    compile_config={
        "optimizer": entry("Adam", "adam", module="keras.optimizers"),
        "loss": {"out": "mse"},
        "metrics": [["mae"]],
        "loss_weights": None,
    },
)
DANGERS = {
    "lambda": lambda_value(),
    "code": CODE,
    "code in a list": [CODE, None, None],
    "host function": function("os", "system"),
    "gadget": function("keras.utils", "get_file"),
    "host class": entry("Popen", "p", module="subprocess"),
    "dangerous class": entry("TFSMLayer", "t", filepath="/x"),
    "symbol": keras2("TFOpLambda", function="io.write_file"),
    "vocabulary": {"vocabulary": "/etc/passwd"},
    "unknown value": {"class_name": "__pickle__", "config": "x"},
}
_Spot = tuple[Any, ...]


def _spots(tree: Any, path: _Spot = ()) -> Iterator[_Spot]:
    """Yield the way to every value in *tree*, and to one more in each dict and list."""
    keys = [*tree, "planted"] if isinstance(tree, dict) else range(len(tree) + 1) if isinstance(tree, list) else ()
    for key in keys:
        yield (*path, key)
        is_there = key in tree if isinstance(tree, dict) else key < len(tree)
        yield from _spots(tree[key], (*path, key)) if is_there else ()


SPOTS = list(_spots(HARMLESS_CONFIG))


def _planted(spot: _Spot, danger: Any) -> Any:
    tree = copy.deepcopy(HARMLESS_CONFIG)
    owner = tree
    for key in spot[:-1]:
        owner = owner[key]
    if isinstance(owner, list):
        owner.insert(spot[-1], danger)
    else:
        owner[spot[-1]] = danger
    return tree


def test_the_harmless_config_is_harmless() -> None:
    """What is planted in has nothing against it."""
    assert refusing(info_of(HARMLESS_CONFIG)) == []


@pytest.mark.parametrize("danger", DANGERS)
def test_planted_part_is_found_at_every_spot(danger: str) -> None:
    """In nested models, wrappers, arguments, masks, what compile reads, what nobody reads.

    Each danger is planted at one spot of ten, so that together they are at all of them.
    """
    spots = SPOTS[list(DANGERS).index(danger) :: len(DANGERS)]
    unseen = [spot for spot in spots if not refusing(info_of(_planted(spot, DANGERS[danger]), normal=functional()))]
    assert unseen == []


@given(first=st.sampled_from(SPOTS), one=st.sampled_from(sorted(DANGERS)), other=st.sampled_from(sorted(DANGERS)))
def test_a_second_part_hides_no_first_one(first: _Spot, one: str, other: str) -> None:
    """What is found of one danger is found beside another, too."""
    alone = refusing(info_of(_planted(first, DANGERS[one]), normal=functional()))
    both = functional(_planted(first, DANGERS[one]), lambda_layer("f", arguments=[DANGERS[other]]))
    beside = refusing(info_of(both, normal=functional()))
    assert {(f.rule, f.evidence) for f in alone} <= {(f.rule, f.evidence) for f in beside}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _trained(config: Any) -> bytes:
    """Make a file with *config* in what only training reads."""
    training = json.dumps({"loss": config})
    return model_h5(lambda file: file.attrs.update(training_config=training), functional(), "3.15.1")


def _untraced(path: Path, config: Any, **options: Any) -> Path:
    """Make a SavedModel without functions, whose model is what Keras recorded about it."""
    shutil.rmtree(path, ignore_errors=True)
    recorded = {"class_name": config["class_name"], "config": config["config"], "training_config": config}
    return untraced(path, recorded, identifier="_tf_keras_network", **options)


CONTAINERS = {
    "archive": lambda root, config: _written(root / "m.keras", archive({"config.json": json.dumps(config)})),
    "HDF5": lambda root, config: _written(root / "m.h5", model_h5(config=config, version="3.15.1")),
    "training config": lambda root, config: _written(root / "t.h5", _trained(config)),
    "metadata beside a SavedModel": lambda root, config: _untraced(root / "b", config, is_beside=True),
    "metadata in a SavedModel": lambda root, config: _untraced(root / "i", config, is_beside=False),
}


@pytest.mark.parametrize("container", CONTAINERS)
@given(spot=st.sampled_from(SPOTS), danger=st.sampled_from(sorted(DANGERS)))
def test_planted_part_is_found_in_every_container(
    container: str, spot: _Spot, danger: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same of files: they are refused, as dangerous or as broken."""
    root = tmp_path_factory.getbasetemp()
    config = _planted(spot, DANGERS[danger])
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), dict):
        return  # nothing is left of the model
    try:
        report = inspect_model(CONTAINERS[container](root, config))
    except SafeloadError:
        return
    assert report.is_refused


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_the_harmless_config(container: str, tmp_path: Path) -> None:
    """None of them is refused by itself."""
    assert not inspect_model(CONTAINERS[container](tmp_path, HARMLESS_CONFIG)).is_refused


_REFUSED_OPS = sorted(
    op
    for op, kind in op_table().classes.items()
    if kind not in HARMLESS | {"print", "debug", "file-by-attribute", "named-resource", "dataset-options"}
    and op != "TemporaryVariable"  # harmless where nothing reads it
)


@given(
    index=st.integers(0, 3),
    op=st.sampled_from(_REFUSED_OPS),
    body=st.sampled_from(sorted(set(bodies(benign())) - {"", "forgotten", "traced_save", "traced_restore"})),
)
def test_planted_op_is_found_in_every_meta_graph(index: int, op: str, body: str) -> None:
    """Whichever MetaGraph and whichever function of it an op is planted in, it is found there, beside all else."""
    made = [benign() for _ in range(4)]
    before = set(examine(*model(*made)))
    bodies(made[index])[body].append(node("planted", op, "unknown", "unknown"))
    found = examine(*model(*made))
    places = {f.where for f in found if f.severity >= Severity.UNEXAMINED}
    assert f"meta_graphs[{index}]/function_library/{body}/planted" in places
    assert before <= set(found)


@given(depth=st.integers(1, 30), op=st.sampled_from(_REFUSED_OPS))
def test_planted_op_is_found_at_any_depth(depth: int, op: str) -> None:
    """However many functions lie between, the op is found."""
    chain = [library_function(f"f{i}", ["x"], ["x"], call("c", f"f{i + 1}", "x")) for i in range(depth)]
    last = library_function(f"f{depth}", ["x"], ["x"], node("n", op, "x", "x"))
    found = examine(*model(simple(call("c", "f0", "x"), functions=[*chain, last])))
    assert f"function_library/f{depth}/n" in {f.where for f in found if f.severity >= Severity.UNEXAMINED}


@given(first=st.sampled_from(sorted(HOSTILE)), second=st.sampled_from(sorted(HOSTILE)))
def test_a_second_graph_hides_no_first_one(first: str, second: str) -> None:
    """What is found in one MetaGraph is found beside another, too."""
    alone = {(f.rule, f.severity) for f in examine(*model(simple(), HOSTILE[first][0]()))}
    assert alone <= {(f.rule, f.severity) for f in examine(*model(HOSTILE[second][0](), HOSTILE[first][0]()))}
