"""Facts about a model: frozen values that say what the file says and judge nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from safeload.errors import printable
from safeload.formats import Format

if TYPE_CHECKING:
    from safeload.inspection._walk import Place
    from safeload.readers.tflite.model import TFLiteSubgraph


_ONNX_NAMES = {"float32": "float", "float64": "double"}
"""Source: DataTypeUtils in onnx/defs/data_type_utils.cc (1.17); other names are TensorFlow's own."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output of a signature or a Keras model.

    Attributes:
        name: Name to pass it by, or key of the output dict.
        dtype: TensorFlow dtype name; None where the file does not record it.
        shape: Dimensions, None for an unknown one; None for unknown rank or where not recorded.
        tensor_name: ``"x:0"`` in the graph, or None.
        kind: ``"tensor"``, ``"ragged"``, ``"sparse"``, or another composite's type name.
        aliases: Other names that mean the same tensor.
        optional: True if a call may leave it out.
        ragged_rank: Ragged dimensions of a ragged tensor.
        row_splits_dtype: Dtype of the row splits of a ragged tensor.
        features: What the graph reads from the serialized ``tf.Example`` records that this input takes; shapes are
            those of one record.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    tensor_name: str | None = None
    kind: str = "tensor"
    aliases: tuple[str, ...] = ()
    optional: bool = False
    ragged_rank: int | None = None
    row_splits_dtype: str | None = None
    features: tuple[TensorInfo, ...] = ()

    @property
    def type(self) -> str:
        """The type as ONNX spells it: ``"tensor(float)"``."""
        dtype = self.dtype or "unknown"
        return f"{self.kind}({_ONNX_NAMES.get(dtype, dtype)})"

    @property
    def spec(self) -> str:
        """Dtype and shape in words: ``"float32 [None, 4]"``."""
        return f"{self.dtype or 'unknown'} {'[…]' if self.shape is None else dims_text(self.shape)}"

    def __str__(self) -> str:
        return f"{printable(self.name)}: {self.spec}"


def dims_text(shape: Iterable[int | None]) -> str:
    """Write a shape whose rank is known."""
    return "[" + ", ".join(map(str, shape)) + "]"


@dataclass(frozen=True)
class Slot:
    """The place of one tensor in an argument tree.

    Attributes:
        name: `TensorInfo.name` of the input or output that stands here.
    """

    name: str


@dataclass(frozen=True)
class TypedConstant:
    """A constant in an argument tree, or a default, of a type that only TensorFlow or numpy has.

    Attributes:
        kind: ``"dtype"``, ``"shape"``, ``"tensor"`` or ``"array"``.
        value: Name of the dtype; dimensions, None for unknown rank; bytes of the `TensorProto`.
    """

    kind: str
    value: Any

    def __repr__(self) -> str:
        return {"dtype": f"tf.{self.value}", "shape": f"tf.TensorShape({self.value})"}.get(self.kind, f"<{self.kind}>")


def has_slot(tree: Any) -> bool:
    """Tell whether a tensor stands anywhere in the argument tree *tree*."""
    branches = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return isinstance(tree, Slot) or any(map(has_slot, branches))


@dataclass(frozen=True)
class CallStructure:
    """How a function nests its arguments and its results.

    A tree is a `Slot`, a dict, list or tuple of trees, or the constant (``True``, ``None``,
    a number, a string, a `TypedConstant`) for which the function was traced.

    Attributes:
        args: Parameters that take positions, in Python order: (name, tree).
        kwargs: Parameters that take keywords alone: (name, tree).
        outputs: Tree of what is returned.
        trace: Position of this trace among the saved traces of the function.
        defaults: Parameters that a call may leave out, and what Python then passes: (name, tree of constants).
    """

    args: tuple[tuple[str, Any], ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    outputs: Any = None
    trace: int = 0
    defaults: tuple[tuple[str, Any], ...] = ()

    def tensor_defaults(self) -> tuple[tuple[str, Any], ...]:
        """Return the tensors that a call may leave out, and what Python then passes for each: (name of slot, value)."""
        trees = dict((*self.args, *self.kwargs))
        leaves = (_default_leaves(trees.get(name), default) for name, default in self.defaults)
        return tuple(pair for found in leaves if found for pair in found.items())


def _default_leaves(tree: Any, default: Any) -> dict[str, Any] | None:
    """Return the parts of *default* by the slots of *tree* that they fill; None if it does not fit."""
    if isinstance(tree, Slot):
        return None if default is None else {tree.name: default}
    if isinstance(tree, (list, tuple)):
        # Every trace has a tree of its own, and all share one default, which may be far longer.
        items = default[: len(tree) + 1] if isinstance(default, (list, tuple)) else None
        tree, default = dict(enumerate(tree)), None if items is None else dict(enumerate(items))
    if not isinstance(tree, dict):
        return {} if type(tree) is type(default) and tree == default else None
    if not isinstance(default, dict) or tree.keys() != default.keys():
        return None
    parts = [_default_leaves(tree[key], default[key]) for key in tree]
    return None if None in parts else {name: value for part in parts if part for name, value in part.items()}


@dataclass(frozen=True)
class Composite:
    """A tensor that is passed in parts.

    Attributes:
        kind: ``"ragged"`` or ``"sparse"``.
        parts: The inputs that are its parts, in the order of TensorFlow.
    """

    kind: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class SignatureInfo:
    """Something that can be called, with its inputs and outputs.

    Attributes:
        key: Key of the SignatureDef, name of the attribute (``"__call__"``, ``"predict"``), or ``"model"`` for a Keras
            model.
        kind: ``"signature"`` (a SignatureDef), ``"function"`` (a traced attribute of the object graph) or ``"keras"``.
        inputs: In the order in which they are listed; those of a SignatureDef in Python order where that is recorded,
            else sorted by name.
        outputs: In declared order, ``output_2`` before ``output_10``.
        method_name: Of a SignatureDef, such as ``"tensorflow/serving/predict"``.
        is_positional: True if the Python order of the inputs is known, so that positions may be used.
        structure: Nesting of arguments and results, for functions; for Keras models and SignatureDefs if their inputs
            are nested. None where flat or unknown.
        function_name: ConcreteFunction of the function library that answers, where known.
        defaults: Inputs for which Python passes a value where a call leaves them out: (name, value).
        composites: Ragged and sparse tensors that a SignatureDef takes in parts.
    """

    key: str
    kind: str = "signature"
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    method_name: str = ""
    is_positional: bool = False
    structure: CallStructure | None = None
    function_name: str | None = None
    defaults: tuple[tuple[str, Any], ...] = ()
    composites: tuple[Composite, ...] = ()

    @property
    def whole(self) -> Composite | None:
        """The composite tensor of which all inputs are the parts, if there is one."""
        is_whole = len(self.composites) == 1 and len(self.composites[0].parts) == len(self.inputs)
        return self.composites[0] if is_whole else None

    def __str__(self) -> str:
        unknown = "…" if self.kind == "keras" else ""  # every Keras model has some, and not every one records them
        inputs = ", ".join(map(str, self.inputs)) or unknown
        outputs = ", ".join(map(str, self.outputs)) or unknown
        return f"{printable(self.key)}({inputs}) -> ({outputs})"


@dataclass(frozen=True)
class ProducerInfo:
    """Who wrote the file, as far as recorded.

    Attributes:
        keras_version: Such as ``"2.12.0"``; ``"2.4.0-tf"`` as written.
        keras_flavour: ``"keras1"``, ``"keras2"`` (standalone), ``"tf.keras"``, ``"tf_keras"``, ``"keras3"``, or None
            when unknown.
        tensorflow_version: Of a SavedModel, or None.
        backend: Keras backend recorded, or None.
        date_saved: As recorded, or None.
    """

    keras_version: str | None = None
    keras_flavour: str | None = None
    tensorflow_version: str | None = None
    backend: str | None = None
    date_saved: str | None = None


@dataclass(frozen=True)
class ObjectInfo:
    """One serialized object of a Keras config, at any depth.

    Attributes:
        where: Path such as ``$.config.layers[3].config.cell``.
        name: ``class_name``, or the function's name.
        kind: ``"layer"``, ``"function"``, ``"initializer"``, … what the place asks for; ``"object"`` when it does not
            tell.
        module: Module recorded, or None.
        registered_name: Name recorded for registration, such as ``"pkg>Scale"``, or None.
        config: Its (normal form) config.
        is_builtin: True if it names an object of Keras or safeload that the tables know.
        is_training_only: True if only ``compile`` needs it, or training of a layer that has its weights.
        is_replaceable: True for the initializer, regularizer or constraint of a layer of Keras, for which the layer's
            own default stands where the caller has none: what it makes is overwritten by the weights of the file.
            Also where a custom layer has a name for one, or for an activation: it takes the name, and may need no such
            function.
        is_module_recorded: False if the file names it without a module, so that a custom class or function may hide
            behind a built-in name.
    """

    where: str
    name: str
    kind: str
    module: str | None
    registered_name: str | None
    config: Any = field(repr=False, default=None)
    is_builtin: bool = False
    is_training_only: bool = False
    is_replaceable: bool = False
    is_module_recorded: bool = True

    @property
    def is_mere_text(self) -> bool:
        """True for a text of a custom layer where layers of Keras have an activation: it may mean a function."""
        return self.is_replaceable and not self.is_training_only


@dataclass(frozen=True)
class LayerInfo:
    """A layer of the tree, with the layers inside it.

    Attributes:
        name: Its name.
        class_name: Its class.
        where: Path in the config, such as ``$.config.layers[0]``; in the object graph of a SavedModel,
            ``root.layers[0]``.
        module: Module recorded, or None.
        registered_name: Name recorded for registration, such as ``"pkg>Scale"``, or None.
        config: Its (normal form) config; that of a SavedModel as the file has it.
        layers: The layers inside it.
        parameter_count: Elements of its weights, those of the layers inside it included; None where the file does
            not tell which weights are a layer's.
    """

    name: str
    class_name: str
    where: str
    module: str | None = None
    registered_name: str | None = None
    config: Any = field(repr=False, default=None)
    layers: tuple[LayerInfo, ...] = ()
    parameter_count: int | None = None


@dataclass(frozen=True)
class KerasInfo:
    """Facts about a Keras config.

    Attributes:
        normal: The `dialects.NormalForm`.
        signature: Inputs and outputs of the model as recorded; dtypes and shapes None where only building would tell.
        root: The layer tree.
        objects: In walking order, the serialized objects that may have to be looked for: those that are not built in,
            those whose module the file does not record, each activation that it has by a name, and what only training
            needs.
        places: What a rule may look at in the normal form (`notable_places`).
        raw_places: The same of the config as the file has it, and of what only ``compile`` needs beside it.
        object_places: Those of *places* where a serialized object stands.
        parameter_count: Elements of all model arrays in the weight index (optimizer state not counted); None for no
            weights.
    """

    normal: Any
    signature: SignatureInfo
    root: LayerInfo
    objects: tuple[ObjectInfo, ...]
    places: tuple[Place, ...] = field(repr=False, compare=False)
    raw_places: tuple[Place, ...] = field(repr=False, compare=False)
    object_places: tuple[Place, ...] = field(repr=False, compare=False)
    parameter_count: int | None = None


@dataclass(frozen=True)
class MetaGraphInfo:
    """Facts about one MetaGraph of a SavedModel.

    Attributes:
        index: Its position in the file.
        tags: Its tags.
        signatures: Its SignatureDefs, bookkeeping ones left out, sorted by key.
        functions: Functions reachable as attributes of the root object (``__call__``, ``predict``, ``serve``), one
            entry per trace.
        has_object_graph: False for SavedModels of TF1.
        initializer: Name of the TF1 init op (``__saved_model_init_op``, ``main_op``, ``legacy_init_op``), or None.
        graph: `inspection.graph.GraphInfo`: every node and function with what reaches what.
        missing_ops: Ops that stock TensorFlow does not have, by op name → package or None.
        tensorflow_version: Of the producer.
        ends: Nodes that may be outputs of a graph without SignatureDefs, where they are too many for signatures.
        unread: Names of functions that have a trace whose arguments or results cannot be read; they are left out of
            `functions`.
    """

    index: int
    tags: frozenset[str]
    signatures: tuple[SignatureInfo, ...] = ()
    functions: tuple[SignatureInfo, ...] = ()
    has_object_graph: bool = False
    initializer: str | None = None
    graph: Any = field(repr=False, default=None)
    missing_ops: tuple[tuple[str, str | None], ...] = ()
    tensorflow_version: str | None = None
    ends: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graph, which cannot be pickled: reports go from process to process, and loading looks anew."""
        return {**vars(self), "graph": None}


@dataclass(frozen=True)
class SavedModelInfo:
    """Facts about a SavedModel.

    Attributes:
        meta_graphs: In the order of the file.
        records: `inspection.saved_model.layers.KerasRecords`, which are read when they are asked for: no call needs
            them.
    """

    meta_graphs: tuple[MetaGraphInfo, ...]
    records: Any = field(repr=False, compare=False, default=None)

    def __getstate__(self) -> dict[str, Any]:
        """Keep what the records tell, for they cannot be pickled."""
        return {**vars(self), "root": self.root, "training_only": self.training_only, "records": None}

    @cached_property
    def root(self) -> LayerInfo | None:
        """The layer tree of a model of Keras 2, whose saver recorded it; None for others."""
        found: LayerInfo | None = self.records.layers() if self.records is not None else None
        return found

    @cached_property
    def training_only(self) -> tuple[ObjectInfo, ...]:
        """What only ``compile`` needs of such a model."""
        found: tuple[ObjectInfo, ...] = self.records.training() if self.records is not None else ()
        return found


@dataclass(frozen=True)
class WeightsInfo:
    """How much the index of the weights lists.

    Attributes:
        arrays: Arrays, those of the optimizer left out.
        elements: Their elements.
        nbytes: Their declared size in bytes.
        training_bytes: Declared size of what only training needs.
    """

    arrays: int
    elements: int
    nbytes: int
    training_bytes: int = 0


@dataclass(frozen=True)
class TFLiteInfo:
    """Facts about a TensorFlow Lite model.

    Attributes:
        signatures: Its SignatureDefs, sorted by key; the first subgraph where it declares none.
        ops: Names of its ops, sorted; ``"#300"`` for a builtin that the table does not know.
        missing_ops: Custom ops that no interpreter has of itself, by name → package or None.
        flex_ops: Custom ops that run an op of TensorFlow.
        subgraphs: What it computes, for the rules about sizes.
    """

    signatures: tuple[SignatureInfo, ...]
    ops: tuple[str, ...] = ()
    missing_ops: tuple[tuple[str, str | None], ...] = ()
    flex_ops: tuple[str, ...] = ()
    subgraphs: tuple[TFLiteSubgraph, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class ModelInfo:
    """Facts about an artifact: what inspection hands to policy, signatures and planning.

    Exactly one of *keras*, *saved_model* and *tflite* is set, except for weights alone, which have neither.
    *weights* is None where there are none.
    """

    format: Format
    where: str
    digest: str
    size: int
    producer: ProducerInfo
    keras: KerasInfo | None = None
    saved_model: SavedModelInfo | None = None
    tflite: TFLiteInfo | None = None
    weights: WeightsInfo | None = None
