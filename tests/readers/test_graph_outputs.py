"""Tests of what inputs and outputs follow from the nodes of a graph."""

from __future__ import annotations

import pytest
from graphs_by_hand import graph

from safeload.readers.saved_model.outputs import add_signature, derive_signatures, variables_behind


def derived(*nodes, **options):
    meta_graph = graph(*nodes, **options)
    derive_signatures(meta_graph)
    return {
        key: (sorted(signature.inputs), {name: info.name for name, info in signature.outputs.items()})
        for key, signature in meta_graph.signature_def.items()
    }


def test_one_output():
    """The signature is named after its only output."""
    assert derived("x Placeholder", "w Const", "y MatMul x w", "p Softmax y") == {"p": (["x"], {"p": "p:0"})}


def test_outputs_with_the_same_inputs():
    """Outputs that are computed from the same inputs come together."""
    found = derived("x Placeholder", "boxes Relu x", "scores Softmax x", "unused Const")
    assert found == {"graph": (["x"], {"boxes": "boxes:0", "scores": "scores:0"})}


def test_losses_alone():
    """A graph that computes nothing but its loss has that for its output."""
    nodes = "x Placeholder", "y Placeholder", "loss Sub x y", "gradients/loss_grad/neg Neg y"
    assert derived(*nodes, "train ApplyAdam w gradients/loss_grad/neg").keys() == {"loss"}


def test_autoencoders():
    """A graph that trains without labels predicts what it compares with its features, through whatever figures."""
    nodes = *DENSE, "s Sigmoid add", *TRAIN, *SAVER
    assert derived(*nodes, "sub Sub s x", "loss Mean sub").keys() == {"loss"}  # which may be a result of any shape
    for figure in (("sub Sub s x",), ("log Log s", "sub Mul x log")):
        meta_graph = graph(*nodes, *figure, "loss Mean sub")
        ranked(meta_graph, loss=0)
        derive_signatures(meta_graph)
        assert meta_graph.signature_def.keys() == {"s"}


def test_what_summaries_show():
    """What is made of a result for a summary of images is none; it may be one where something else takes it, too."""
    nodes = "x Placeholder", "p Softmax x", "part Slice p", "bytes Cast part", "image ImageSummary bytes part gone"
    assert derived(*nodes).keys() == {"p"}
    assert derived(*nodes, "s HistogramSummary part").keys() == {"part"}


def test_graphs_whose_variables_lack_a_value():
    """They are told from the outputs that need them; what needs none is an output, unless it follows from shapes."""
    nodes = *DENSE, "v VariableV2", "head MatMul x v", "rows Shape x", "zeros Fill rows", *SAVER
    meta_graph = graph(*nodes)
    derive_signatures(meta_graph, ["v"])
    assert meta_graph.signature_def.keys() == {"add"}
    meta_graph = graph(*nodes)
    derive_signatures(meta_graph, ["v", "b"])
    assert set(meta_graph.signature_def["graph"].outputs) == {"add", "head"}


@pytest.mark.parametrize(
    ("shape", "keys"), [({}, set()), ({"unknown_rank": True}, set()), ({"dim": [{"size": 3}]}, {"p"})]
)
def test_graphs_whose_only_input_says_if_they_train(shape, keys):
    """A graph that reads its own data has no signature; a vector of truths is an input."""
    meta_graph = graph("on Placeholder", "w VariableV2", "data Const", "p Select on data w", *SAVER)
    node = meta_graph.graph_def.node[0]
    node.attr["dtype"].type = 10
    node.attr["shape"].CopyFrom(type(node.attr["shape"])(shape=shape))
    derive_signatures(meta_graph)
    assert meta_graph.signature_def.keys() == keys
    meta_graph = graph("on Placeholder", "p Select on")
    meta_graph.graph_def.node[0].attr["dtype"].type = 10
    derive_signatures(meta_graph)
    assert meta_graph.signature_def.keys() == {"p"}


def test_steps_on_embeddings():
    """Rows of embeddings are trained without an op of an optimizer; what they change by is no result."""
    nodes = "x Placeholder", "w VariableV2", "loss Sub x w", "gradients/loss_grad/neg Neg x"
    step = "step/mul Mul gradients/loss_grad/neg", "step ScatterSub w x step/mul"
    assert derived(*nodes, *step).keys() == {"loss"}
    assert derived(*nodes, *step, "p Softmax x").keys() == {"p"}


def test_loops_that_are_differentiated():
    """A gradient lets a loop collect what it needs in lists of its own, which the loop takes."""
    nodes = "x Placeholder", "gradients/while_grad/list EmptyTensorList", "while While x gradients/while_grad/list"
    step = "gradients/while_grad/neg Neg while:1", "step ApplyGradientDescent w gradients/while_grad/neg"
    assert derived(*nodes, *step, "p Softmax while").keys() == {"p"}


def test_metrics_alone():
    """A graph that only evaluates assigns all that it computes; what it compares with labels is its prediction."""
    metric = "difference SquaredDifference add y", "sum Sum difference", "add_1 AssignAddVariableOp w sum"
    assert derived(*DENSE, "y Placeholder", *metric, *SAVER).keys() == {"add"}
    total = "difference SquaredDifference add y", "total VariableV2", "sum Mean difference", "new AssignAdd total sum"
    assert derived(*DENSE, "y Placeholder", *total, "n Const", "update_op RealDiv new n", *SAVER).keys() == {"add"}


def test_gradients_of_a_result():
    """What a graph differentiates without training on it may be asked for."""
    nodes = "x Placeholder", "p Softmax x", "boxes Relu x", "gradients/p_grad/mul Mul x", "map Abs gradients/p_grad/mul"
    assert derived(*nodes)["graph"][1].keys() == {"p", "boxes", "map"}


def test_outputs_with_different_inputs():
    """What needs a label is not what predicts: the caller chooses."""
    found = derived("x Placeholder", "y Placeholder", "p Softmax x", "loss Sub x y")
    assert found == {"loss": (["x", "y"], {"loss": "loss:0"}), "p": (["x"], {"p": "p:0"})}


@pytest.mark.parametrize(
    "nodes",
    [
        (
            "init NoOp ^w",
            "save/Const PlaceholderWithDefault",
            "save/SaveV2 SaveV2 save/Const",
            "save/deep/i Identity save/Const",
        ),
        ("w/Assign Assign w x",),
        ("c/Switch Switch w x", "c/Avg AssignSub c/Switch:1 x", "c/Merge Merge c/Switch c/Avg"),
        ("train ApplyGradientDescent w p p",),
        ("gradients/p_grad/mul Mul p x", "train ResourceApplyAdam gradients/p_grad/mul"),
        (
            "loss Sub x y",
            "y Placeholder",
            "gradients/loss_grad/neg Neg y",
            "clip Mul gradients/loss_grad/neg",
            "part Unique clip",
            "train ApplyAdam w clip",
        ),
        ("step ApplyAdam w p", "Adam/mul Mul w ^step", "Adam/Assign Assign w Adam/mul"),
        ("loss_1 ScalarSummary p", "merged MergeSummary loss_1"),
        ("check Assert p",),
    ],
    ids=["saver", "assignment", "conditional", "training", "gradients", "loss", "powers", "summaries", "assertion"],
)
def test_bookkeeping(nodes):
    """What saves, trains, initialises or reports is no output, and consumes none."""
    assert derived("x Placeholder", "w VariableV2", "p Softmax x", *nodes) == {"p": (["x"], {"p": "p:0"})}


DENSE = "x Placeholder", "w VariableV2", "w/read Identity w", "b VariableV2", "mul MatMul x w/read", "add Add mul b"
TRAIN = "gradients/neg Neg mul", "train ApplyGradientDescent w gradients/neg"
LABELS = "y Placeholder", "squares SquaredDifference add y", "loss Mean squares"


@pytest.mark.parametrize(
    ("nodes", "predictions"),
    [
        (LABELS, {"add"}),
        ((*LABELS, "hit ArgMax add", "true ArgMax y", "equal Equal hit true", "accuracy Mean equal"), {"add"}),
        (("y Placeholder", "p Softmax add", "log Log p", "mul_1 Mul y log", "xent Neg mul_1"), {"p"}),
        (("y Placeholder", "p Softmax add", "xent/clip Minimum p", "xent/mul Mul y xent/clip"), {"p"}),
        (("y Placeholder", "xent/log Log add", "xent/mul Mul y xent/log"), {"add"}),
        (("y Placeholder", "odds Log add", "mul_1 Mul y odds"), {"add"}),
        ((*LABELS, "penalty L2Loss w/read", "total Add loss penalty"), {"add"}),
        ((*LABELS, "scalar ScalarSummary loss"), {"add"}),
        ((*LABELS, "class ArgMax add"), {"class"}),
        ((*LABELS, "other Placeholder", "top Max other"), {"add"}),
        ((*LABELS, "v VariableV2", "head MatMul x v", "sub Sub head y"), {"add", "head"}),
        ((*LABELS, "v VariableV2", "head MatMul add v", "sub Sub head y"), {"head"}),
        (
            (*LABELS, "v VariableV2", "head MatMul x v", "sum Relu add head", "sub Sub head y", "sub_1 Sub sum y"),
            {"add", "head", "sum"},
        ),
    ],
    ids=[
        "loss", "accuracy", "logarithm", "scope", "scope-alone", "logarithm-alone", "penalty", "summary", "end",
        "no-variable", "heads", "supervised-between", "no-common",
    ],
)  # fmt: skip
def test_training_graphs(nodes, predictions):
    """A graph that trains predicts what its figures compare with labels, unless an output follows from that."""
    found = derived(*DENSE, *nodes, *TRAIN, *SAVER)
    assert {name for _, outputs in found.values() for name in outputs} == predictions


TRAINED = *TRAIN, *LABELS
LATE = {
    "temperature": ("late Placeholder", "div RealDiv add late", "p Softmax div"),
    "masked-mean": ("late Placeholder", "masked Mul add late", "p Mean masked"),
    "threshold": ("late PlaceholderWithDefault", "p Greater add late"),
}
"""Inputs of a model that come after its last layer."""


@pytest.mark.parametrize("others", [(), TRAINED, LABELS], ids=["inference", "training", "evaluation"])
@pytest.mark.parametrize("nodes", LATE.values(), ids=LATE)
def test_inputs_that_meet_the_last_layer(nodes, others):
    """What the result for each example is computed from is no label, be its shapes known or not."""
    meta_graph = graph(*DENSE, *nodes, *others, *SAVER)
    ranked(meta_graph, p=2 if "Mean" in nodes[-1] else None, late=2, loss=0)
    derive_signatures(meta_graph)
    assert {(key, *sorted(signature.inputs)) for key, signature in meta_graph.signature_def.items()} == {
        ("p", "late", "x")
    }


@pytest.mark.parametrize("rank", [0, None, 1])
def test_numbers_are_no_labels(rank):
    """What scales a result of unknown shape is an input where it is a number, or where nothing is reduced."""
    meta_graph = graph(*DENSE, "late Placeholder", "div RealDiv add late", "p Mean div", *SAVER)
    ranked(meta_graph, late=rank)
    derive_signatures(meta_graph)
    assert meta_graph.signature_def.keys() == ({"p"} if rank == 0 else {"add"})


def ranked(meta_graph, **ranks):
    """Write the shapes that TensorFlow's Python API adds to nodes."""
    for node in meta_graph.graph_def.node:
        if node.name in ranks:
            shape = node.attr["_output_shapes"].list.shape.add(unknown_rank=ranks[node.name] is None)
            for _ in range(ranks[node.name] or 0):
                shape.dim.add(size=-1)


def test_labels_that_an_end_for_each_example_is_computed_from():
    """They are labels in a graph that trains, and inputs in one that does not, which may be about nothing else."""
    nodes = *DENSE, "y Placeholder", "equal Equal add y", *SAVER
    assert derived(*nodes, *TRAIN).keys() == {"add"}
    assert derived(*nodes).keys() == {"equal"}


def test_very_many_figures():
    """A single last layer is the output where too much follows it; of several, all are."""
    figures = [text for i in range(70) for text in (f"hit_{i} ArgMax add", f"sub_{i} Sub hit_{i} y")]
    nodes = *DENSE, *TRAIN, *SAVER, "y Placeholder"
    assert derived(*nodes, *figures).keys() == {"add"}
    both = [text.replace("ArgMax add", "Less add head") for text in figures]
    assert not derived(*nodes, "v VariableV2", "head MatMul x v", *both)


def test_names_with_very_many_scopes():
    """Names are looked at as far as scopes are nested; the rest of such a name is like any other."""
    deep = "a/" * 200_000
    found = derived(*DENSE, *LABELS, *TRAIN, *SAVER, f"{deep}Sub Sub add y", f"save/{deep}Sub Sub add y")
    assert found.keys() == {"add"}


def test_pivots_of_branches_are_no_outputs():
    """The nodes of a branch of tf.cond hang on its pivot by control edges alone."""
    found = derived(
        "x Placeholder", "c/Switch Switch x x", "c/switch_t Identity c/Switch:1", "c/one Const ^c/switch_t",
        "c/Merge Merge c/one", "last Identity gone", "p Softmax c/Merge x",
    )  # fmt: skip
    assert found == {"p": (["x"], {"p": "p:0"})}


GUARD = (
    "all All x", "Assert/AssertGuard/Switch Switch all all", "Assert/AssertGuard/pred_id Identity all",
    "Assert/AssertGuard/switch_t Identity Assert/AssertGuard/Switch:1",
    "Assert/AssertGuard/Assert/Switch Switch all Assert/AssertGuard/pred_id",
    "Assert/AssertGuard/Assert/Switch_1 Switch shown Assert/AssertGuard/pred_id",
    "Assert/AssertGuard/Assert Assert Assert/AssertGuard/Assert/Switch Assert/AssertGuard/Assert/Switch_1",
    "Assert/AssertGuard/control_dependency Identity Assert/AssertGuard/switch_t",
    "Assert/AssertGuard/Merge Merge Assert/AssertGuard/control_dependency",
)  # fmt: skip
"""What tf.Assert of TensorFlow 1 makes of ``tf.Assert(all, [shown])``."""


@pytest.mark.parametrize(
    "nodes",
    [("all All x", "shown Sub x", "Assert Assert all shown"), ("shown Sub x", *GUARD)],
    ids=["unguarded", "guarded"],
)
def test_assertions(nodes):
    """What is asserted, and what an assertion would show, is a result only where nothing else is one."""
    assert derived("x Placeholder", *nodes, "p Softmax x ^Assert/AssertGuard/Merge").keys() == {"p"}
    assert set(derived("x Placeholder", *nodes)["graph"][1]) == {"all", "shown"}


def test_prints():
    """A tf.Print returns its first input, which is no output where something takes it from there."""
    nodes = "x Placeholder", "p MatMul x w", "seen Sub x"
    assert derived(*nodes, "Print Print p seen", "o Add Print w").keys() == {"o"}
    assert derived(*nodes, "Print Print p seen").keys() == {"p"}
    assert derived(*nodes, "c ArgMax x", "Print Print p p seen")["graph"][1].keys() == {"p", "c"}


LEFT = {
    "loop": ("in Enter x", "turn Merge in next", "out Exit turn", "next NextIteration turn"),
    "loop-of-functions": ("while StatelessWhile x", "out Identity while"),
    "condition": ("cond/pred_id Identity x",),
    "length": ("rnn/while/Exit Exit x", "rnn/Min Min x"),
    "longest": ("rnn/while/Exit Exit x", "rnn/Max Max x"),
    "shape": ("s Shape x", "rows StridedSlice s", "zeros Fill rows"),
    "read-after-update": ("add AssignAddVariableOp w x", "read ReadVariableOp w ^add"),
}
SAVER = "save/Const PlaceholderWithDefault", "save/SaveV2 SaveV2 save/Const"


@pytest.mark.parametrize("nodes", LEFT.values(), ids=LEFT)
def test_leftovers(nodes):
    """What loops and branches left unused, or follows from shapes, is no output beside others of a whole graph."""
    nodes = "x Placeholder", "w VariableV2", *nodes
    assert derived(*nodes, *SAVER, "p Softmax x").keys() == {"p"}
    assert derived(*nodes, *SAVER).keys() == derived(*nodes).keys() != set()


@pytest.mark.parametrize("nodes", LEFT.values(), ids=LEFT)
def test_graphs_that_were_cut_down(nodes):
    """What nothing consumes in a graph without a saver was asked for when it was frozen."""
    found = derived("x Placeholder", "w VariableV2", *nodes, "p Softmax x")
    assert len(found["graph"][1]) > 1


def test_steps_of_a_recurrent_layer():
    """What tf.nn.dynamic_rnn gives for all steps is an output where nothing follows from its last state."""
    nodes = (
        "x Placeholder",
        "rnn/while/Exit Exit x",
        "rnn/Max Max x",
        "rnn/transpose_1 Transpose rnn/while/Exit",
        *SAVER,
    )
    assert derived(*nodes).keys() == {"rnn/transpose_1"}
    assert derived(*nodes, "p Softmax rnn/while/Exit").keys() == {"p"}


def test_branches_of_constants():
    """A result may depend on an input by the branch alone that is taken."""
    found = derived(
        "x Placeholder", "c/Switch Switch x x", "c/switch_t Identity c/Switch:1", "c/one Const ^c/switch_t",
        "c/Merge Merge c/one", "p Softmax c/Merge", "rows Shape x", *SAVER,
    )  # fmt: skip
    assert found.keys() == {"p"}


def test_graphs_without_inputs():
    """A graph that reads its own data has no signature."""
    assert derived("a Const", "b Relu a") == {}


def test_too_many_ends():
    """A graph with very many ends says nothing about what its author wanted; those of floats are told first."""
    meta_graph = graph("x Placeholder", "n Unique x", *(f"y{i} Relu x" for i in range(64)))
    meta_graph.graph_def.node[1].attr["T"].type = 9
    assert derive_signatures(meta_graph) == (*(f"y{i}" for i in range(64)), "n")
    assert not meta_graph.signature_def
    del meta_graph.graph_def.node[-1]
    assert derive_signatures(meta_graph) == ()
    assert list(meta_graph.signature_def) == ["graph"]


BRANCHES = (
    "c/Switch Switch x p", "c/a Relu c/Switch", "c/inner/Switch Switch c/Switch:1 q", "c/inner/a Relu c/inner/Switch",
    "c/inner/Merge Merge c/inner/a c/inner/Switch:1", "c/aside Relu c/inner/Merge", "c/Merge Merge c/a c/inner/Merge",
)  # fmt: skip
LOOP = (
    "in Enter x", "turn Merge in next", "done LoopCond turn", "keep Switch turn done", "step Relu keep:1",
    "next NextIteration step", "out Exit keep",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "is_result"),
    [
        ("y", True), ("z", True), ("c/Merge", True), ("out", True), ("read", True), ("after", True),
        ("gone", False), ("x", False), ("w", False), ("one", False), ("init", False), ("none", False),
        ("c/Switch", False), ("c/a", False), ("c/inner/a", False), ("c/inner/Merge", False), ("c/aside", False),
        ("in", False), ("step", False), ("train", False), ("trained", False),
    ],
)  # fmt: skip
def test_signatures_of_nodes(name, is_result):
    """A node may be asked for if it has a value without a step of training, in any turn and branch."""
    meta_graph = graph(
        "x Placeholder", "w VariableV2", "one Const", "read Identity w", "y Relu x", "z Softmax y", "init NoOp",
        *BRANCHES, *LOOP, "after Relu out", "none IdentityN x", "train ApplyAdam w y", "trained Mul y ^train",
    )  # fmt: skip
    next(node for node in meta_graph.graph_def.node if node.name == "none").ClearField("attr")
    assert add_signature(meta_graph, name) is is_result
    assert list(meta_graph.signature_def) == [name] * is_result
    if is_result:
        signature = meta_graph.signature_def[name]
        assert list(signature.inputs) == ["x"] * (name != "read")
        assert {key: info.name for key, info in signature.outputs.items()} == {name: f"{name}:0"}


def test_branches_without_an_end():
    """What has no value in the other branch is an output only where nothing else is one."""
    nodes = "x Placeholder", "c/Switch Switch x x", "c/a Relu c/Switch"
    assert derived(*nodes, "p Softmax x").keys() == {"p"}
    assert derived(*nodes).keys() == {"c/a"}


def test_loops():
    """What is computed in a loop cannot be fetched; what leaves it can, also out of a loop within another one."""
    outer = "in Enter x", "turn Merge in next", "done Less turn", "out Exit turn", "next NextIteration inner/out"
    inner = "inner/in Enter turn", "inner/aside Relu inner/in", "inner/out Exit inner/in", "aside Relu inner/out"
    assert derived("x Placeholder", *outer, *inner, "p Softmax out").keys() == {"p"}
    assert derived("x Placeholder", *outer, *inner).keys() == {"out"}
    assert derived("x Placeholder", "a Enter x b", "b Enter a", "p Softmax x").keys() == {"p"}


def test_values_of_variables():
    """What is assigned to a variable is a result only where nothing else is one."""
    nodes = "x Placeholder", "w VariableV2", "mul Mul x w", "w/AssignMovingAvg AssignSub w mul"
    assert derived(*nodes, "p Softmax x").keys() == {"p"}
    assert derived(*nodes).keys() == {"mul"}


def test_ends_that_need_no_input_are_not_counted():
    """A graph that was trained has a slot and an initial value for each of its variables."""
    assert derived("x Placeholder", "p Softmax x", *(f"w{i}/read Identity w{i}" for i in range(65))).keys() == {"p"}


def test_loops_in_the_graph():
    """The loops of TensorFlow 1 are cycles of nodes."""
    found = derived("x Placeholder", "m Merge x n", "n NextIteration m", "e Exit m")
    assert found == {"e": (["x"], {"e": "e:0"})}


def test_several_outputs_of_one_node():
    """Every output of an op whose outputs are known is one."""
    meta_graph = graph("x Placeholder", "top TopKV2 x", "call StatefulPartitionedCall x", "none IdentityN x")
    meta_graph.graph_def.node[2].attr["Tout"].list.type.extend([1, 7])
    del meta_graph.graph_def.node[3].attr["T"]
    derive_signatures(meta_graph)
    outputs = meta_graph.signature_def["graph"].outputs
    assert {name: info.dtype for name, info in outputs.items()} == {"top": 1, "top:1": 3, "call": 1, "call:1": 7}


def test_types():
    """Types come from the attributes that say so; those of other ops are left open."""
    meta_graph = graph("x Placeholder", "a ArgMax x", "c Cast x", "s Shape x", "n NonMaxSuppressionV4 x")
    meta_graph.graph_def.node[2].attr["DstT"].type = 4
    derive_signatures(meta_graph)
    outputs = meta_graph.signature_def["graph"].outputs
    assert {name: info.dtype for name, info in outputs.items()} == {"a": 9, "c": 4, "s": 0, "n": 3, "n:1": 3}


@pytest.mark.parametrize(("producer", "is_known"), [(21, False), (22, True)])
def test_shapes_of_old_placeholders(producer, is_known):
    """Old graphs wrote an unknown shape as that of a scalar."""
    meta_graph = graph("x Placeholder", "z PlaceholderV2", "y Add x z", producer=producer)
    meta_graph.graph_def.node[0].attr["shape"].shape.SetInParent()
    meta_graph.graph_def.node[1].attr["shape"].shape.dim.add(size=3)
    derive_signatures(meta_graph)
    inputs = meta_graph.signature_def["y"].inputs
    assert inputs["x"].tensor_shape.unknown_rank is not is_known
    assert inputs["z"].tensor_shape.dim[0].size == 3


@pytest.mark.parametrize(
    ("nodes", "inputs"),
    [
        (("h Placeholder", "it IteratorFromStringHandle h", "next IteratorGetNext it"), ["x"]),
        (("queue FIFOQueueV2", "taken QueueDequeueV2 queue", "a Abs taken", "next Add a taken"), ["x"]),
        (("h Placeholder", "next Relu h"), ["h", "x"]),
    ],
    ids=["dataset", "queue", "placeholder"],
)
def test_defaults_that_training_filled(nodes, inputs):
    """What training took from a dataset or a queue is no default: such an input is given, and nothing behind it is."""
    assert derived(*nodes, "x PlaceholderWithDefault next", "p Softmax x")["p"][0] == inputs
    meta_graph = graph(*nodes, "x PlaceholderWithDefault next", "p Softmax x", "after Relu p")
    assert add_signature(meta_graph, "p")
    assert sorted(meta_graph.signature_def["p"].inputs) == inputs


@pytest.mark.parametrize(
    ("op", "key", "number"), [("Split", "num_split", 2), ("Unpack", "num", 3), ("SplitV", None, 1)]
)
def test_as_many_outputs_as_said(op, key, number):
    """Each part is an output; of a number beyond all sense, as many as a graph may have."""
    meta_graph = graph("x Placeholder", f"y {op} x")
    if key:
        meta_graph.graph_def.node[1].attr[key].i = number
        crafted = graph("x Placeholder", f"y {op} x")
        crafted.graph_def.node[1].attr[key].i = 1 << 60
        derive_signatures(crafted)
        assert len(crafted.signature_def["y"].outputs) == 64
    derive_signatures(meta_graph)
    outputs = meta_graph.signature_def["y"].outputs
    assert sorted(info.name for info in outputs.values()) == [f"y:{index}" for index in range(number)]
    assert {info.dtype for info in outputs.values()} == {1}


def test_placeholders_without_a_shape():
    """A placeholder that records no shape takes any."""
    meta_graph = graph("x Placeholder", "y Relu x")
    derive_signatures(meta_graph)
    assert meta_graph.signature_def["y"].inputs["x"].tensor_shape.unknown_rank


def test_variables():
    """Only variables that an output needs count."""
    meta_graph = graph("x Placeholder", "w VarHandleOp", "step VariableV2", "y MatMul x w:0")
    derive_signatures(meta_graph)
    assert variables_behind(meta_graph) == ["w"]


@pytest.mark.parametrize("handle", [20, 21])
def test_handles_are_no_outputs(handle):
    """The lists of tensors that a loop leaves behind are nothing that a caller can take."""
    meta_graph = graph("x Placeholder", "y Relu x", "list Identity x")
    meta_graph.graph_def.node[-1].attr["T"].type = handle
    derive_signatures(meta_graph)
    assert list(meta_graph.signature_def) == ["y"]


@pytest.mark.parametrize(
    ("key", "outputs"),
    [
        ("k", {"k": "k:0", "k:1": "k:1"}),
        ("k:0", {"k": "k:0"}),
        ("k:1", {"k:1": "k:1"}),
        ("y:0", {"y": "y:0"}),
        ("y:1", None),
        ("k:2", None),
        ("k:", None),
        ("k:00", None),
        ("gone:0", None),
    ],
)
def test_signature_of_a_tensor(key, outputs):
    """The name of a tensor, as a session takes it, means that output alone."""
    meta_graph = graph("x Placeholder", "k TopKV2 x", "y Relu x")
    assert add_signature(meta_graph, key) == (outputs is not None)
    found = {name: info.name for name, info in meta_graph.signature_def[key].outputs.items()} if outputs else None
    assert found == outputs
