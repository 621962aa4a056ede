"""From where the execution of a graph can start: signatures, objects, initialisers, savers. Layer: inspection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.readers.protobuf import message_class, parse_message
from safeload.readers.saved_model.assets import asset_definitions
from safeload.readers.saved_model.outputs import LOCAL_VARIABLES
from safeload.readers.saved_model.queues import WITH_DEFAULT, fed_by_training
from safeload.readers.saved_model.references import reference_producer, tensor_name, tensor_names

if TYPE_CHECKING:
    from safeload.inspection.graph.bodies import Body

_CREATE = "_create_resource"
_INITIALIZERS = frozenset({_CREATE, "_initialize", "_destroy_resource"})
"""Source: tensorflow/python/trackable/resource.py, tensorflow/python/saved_model/load.py (TF 2.21)."""
ADAPT = "_adapt_function"
"""The step with which a layer inside of a model learned from data; who loads the model is not offered it.

Source: keras/engine/base_preprocessing_layer.py (2.6 to 2.15).
"""
SIGNATURES_ATTRIBUTE = "signatures"
"""Attribute of the root that maps keys of SignatureDefs to functions. Source: signature_serialization.py (TF 2.21)."""
INIT_OP = "__saved_model_init_op"
"""SignatureDef of the initialiser. Source: INIT_OP_SIGNATURE_KEY in saved_model/constants.py (TF 2.21)."""
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
"""Collections that name it in older files. Source: MAIN_OP_KEY, LEGACY_INIT_OP_KEY, same file."""
TABLE_INITIALIZERS = "table_initializer"
"""Files without an initialiser leave it to the loader to run what this and `LOCAL_VARIABLES` collect.

Source: tensorflow/python/saved_model/loader_impl.py (TF 2.21).
"""
_NO_FUNCTIONS: Mapping[str, None] = {}
_MANY = 64
"""Sets of signature inputs that are told apart; more are treated as feeding nothing, which reaches more nodes."""


class EntryKind(Enum):
    """Who starts an execution."""

    SIGNATURE = "signature"
    FUNCTION = "function"
    INITIALIZER = "initializer"
    RESTORE = "restore"
    SAVE = "save"


@dataclass(frozen=True)
class Entry:
    """A place from where execution can start.

    Attributes:
        kind: Who starts it.
        functions: Functions of the library that are called.
        fetches: Tensors and nodes of the main graph that are fetched.
        feeds: Tensors of the main graph whose values come from outside, so that what computes them does not run.
    """

    kind: EntryKind
    functions: tuple[str, ...] = ()
    fetches: tuple[str, ...] = ()
    feeds: frozenset[str] = frozenset()


class Capture(NamedTuple):
    """What an argument of a function is bound to: an asset's file name, or a node of the main graph."""

    asset: str | None = None
    node: str | None = None


@dataclass(frozen=True)
class Entries:
    """What `find_entries` found; the attributes are those of `GraphInfo`."""

    entries: tuple[Entry, ...]
    assets: Mapping[str, str]
    asset_files: tuple[str, ...]
    creators: frozenset[str]
    inputs: frozenset[str]


def find_entries(meta_graph: Any, main: Body, functions: frozenset[str]) -> Entries:
    """Find every entry of *meta_graph*, a MetaGraphDef whose graph is *main* and whose library has *functions*."""
    found, creators = _object_functions(meta_graph.object_graph_def)
    objects = [Entry(kind, functions=tuple(n for n in names if n in functions)) for kind, names in found.items()]
    gradients = tuple(g.gradient_func for g in meta_graph.graph_def.library.registered_gradients)
    assets = list(asset_definitions(meta_graph))
    return Entries(
        entries=(
            *_signature_entries(meta_graph, main),
            *_initializer_entries(meta_graph),
            *_saver_entries(meta_graph.saver_def),
            *objects,
            Entry(EntryKind.FUNCTION, functions=tuple(n for n in gradients if n in functions)),
        ),
        assets={tensor_name(asset.tensor_info.name): asset.filename for asset in assets},
        asset_files=tuple(asset.filename for asset in assets),
        creators=creators,
        inputs=frozenset(
            tensor_name(name)
            for signature in meta_graph.signature_def.values()
            for info in signature.inputs.values()
            for name in tensor_names(info)
        ),
    )


def _signature_entries(meta_graph: Any, main: Body) -> Iterator[Entry]:
    by_feeds: dict[frozenset[str], list[str]] = defaultdict(list)
    with_default = {node.name for node in main.nodes if node.op == WITH_DEFAULT}
    with_default -= fed_by_training(meta_graph.graph_def) if with_default else frozenset()
    for key, signature in meta_graph.signature_def.items():
        if key == INIT_OP:
            continue
        feeds = frozenset(_always_fed(signature, with_default))
        feeds = feeds if feeds in by_feeds or len(by_feeds) < _MANY else frozenset()
        by_feeds[feeds] += [n for info in signature.outputs.values() for n in tensor_names(info)]
    for feeds, fetches in by_feeds.items():
        yield Entry(EntryKind.SIGNATURE, fetches=tuple(fetches), feeds=feeds)


def _always_fed(signature: Any, with_default: set[str]) -> Iterator[str]:
    """Yield the tensors that every call feeds; what computes the default of an input may run."""
    for key, info in signature.inputs.items():
        if key not in signature.defaults:
            yield from (name for name in tensor_names(info) if reference_producer(name) not in with_default)


def _initializer_entries(meta_graph: Any) -> Iterator[Entry]:
    fetches = [
        name for key in (*INIT_COLLECTIONS, TABLE_INITIALIZERS) for name in _collection(meta_graph, key).node_list.value
    ]
    if INIT_OP in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_OP].outputs.values()
        fetches += [name for info in outputs for name in tensor_names(info)]
    for packed in _collection(meta_graph, LOCAL_VARIABLES).bytes_list.value:
        variable = parse_message("VariableDef", packed, where=f"collection {LOCAL_VARIABLES}")
        fetches.append(variable.initializer_name)
    yield Entry(EntryKind.INITIALIZER, fetches=tuple(fetches), feeds=_asset_feeds(meta_graph))


def _saver_entries(saver_def: Any) -> Iterator[Entry]:
    feeds = frozenset({saver_def.filename_tensor_name})
    yield Entry(EntryKind.SAVE, fetches=(saver_def.save_tensor_name,), feeds=feeds)
    yield Entry(EntryKind.RESTORE, fetches=(saver_def.restore_op_name,), feeds=feeds)


def _asset_feeds(meta_graph: Any) -> frozenset[str]:
    return frozenset(asset.tensor_info.name for asset in asset_definitions(meta_graph))


def _collection(meta_graph: Any, key: str) -> Any:
    return meta_graph.collection_def.get(key) or message_class("CollectionDef")()


def _object_functions(object_graph: Any) -> tuple[dict[EntryKind, dict[str, None]], frozenset[str]]:
    """Return the functions of the object graph by who starts them, and those that make resources."""
    objects = object_graph.nodes[:]  # a slice is copied in one go
    functions = _functions_of(objects)
    started: dict[EntryKind, dict[int, None]] = {kind: {} for kind in EntryKind}
    called, initializing = started[EntryKind.FUNCTION], started[EntryKind.INITIALIZER]
    steps: dict[int, None] = {}
    creators: dict[int, None] = {}
    public = set(_public_objects(object_graph))
    for index, node in enumerate(objects):
        saveables = node.saveable_objects
        for saveable in saveables.values() if saveables else ():
            started[EntryKind.SAVE][saveable.save_function] = None
            # TensorFlow also saves what it is about to restore, to learn which tensors there are.
            started[EntryKind.RESTORE].update({saveable.restore_function: None, saveable.save_function: None})
        children = [(child.node_id, child.local_name) for child in node.children[:] if child.node_id in functions]
        if not children:
            continue  # as most objects, which are variables and functions
        own = functions.get(index, _NO_FUNCTIONS).keys()
        is_public = index in public
        for child_id, name in dict.fromkeys(children):
            if name == ADAPT and not is_public:
                steps[child_id] = None
                continue
            if name == _CREATE:
                creators[child_id] = None
            if is_public:
                called[child_id] = None
            # The trace of a saver's function is a child of that function and no other entry.
            if not functions[child_id].keys() <= own:
                (initializing if name in _INITIALIZERS else called)[child_id] = None
    found = {kind: _names(functions, indices) for kind, indices in started.items()}
    known = {**found[EntryKind.SAVE], **found[EntryKind.RESTORE], **found[EntryKind.INITIALIZER]}
    known.update(_names(functions, steps))
    rest = [name for name in object_graph.concrete_functions if name not in known]
    found[EntryKind.FUNCTION].update(dict.fromkeys(rest))
    return found, frozenset(_names(functions, creators))


def _names(functions: Mapping[int, Mapping[str, None]], indices: Iterable[int]) -> dict[str, None]:
    """Return the functions of several objects, each of which may be a child of many."""
    return {name: None for index in indices for name in functions.get(index, _NO_FUNCTIONS)}


def _public_objects(object_graph: Any) -> Iterator[int]:
    """Yield the objects whose functions can be asked for, of whatever kind they are: the root, its signatures."""
    for root in object_graph.nodes[:1]:
        yield 0
        yield from (child.node_id for child in root.children if child.local_name == SIGNATURES_ATTRIBUTE)


def _functions_of(objects: Iterable[Any]) -> dict[int, dict[str, None]]:
    """Return the ConcreteFunctions of each of *objects* that is a function, by its index."""
    found: dict[int, dict[str, None]] = {}
    for index, node in enumerate(objects):
        kind = node.WhichOneof("kind")
        if kind == "function":
            found[index] = dict.fromkeys(filter(None, node.function.concrete_functions[:]))
        elif kind == "bare_concrete_function":
            found[index] = dict.fromkeys(filter(None, [node.bare_concrete_function.concrete_function_name]))
    return found


def read_captures(meta_graph: Any, function: Any) -> Iterator[tuple[str, Capture]]:
    """Yield each captured argument of *function*, a FunctionDef of *meta_graph*, and what it is bound to.

    Source: SavedConcreteFunction.bound_inputs in saved_object_graph.proto: the last arguments, in order.
    """
    concrete = meta_graph.object_graph_def.concrete_functions
    name, arguments = function.signature.name, function.signature.input_arg
    bound = concrete[name].bound_inputs if name in concrete else ()
    for argument, index in zip(arguments[max(0, len(arguments) - len(bound)) :], bound, strict=False):
        yield argument.name, _capture(meta_graph, index)


def _capture(meta_graph: Any, index: int) -> Capture:
    objects, assets = meta_graph.object_graph_def.nodes, meta_graph.asset_file_def
    if not 0 <= index < len(objects):
        return Capture()
    kind = objects[index].WhichOneof("kind")
    if kind == "constant":
        return Capture(node=objects[index].constant.operation)
    position = objects[index].asset.asset_file_def_index
    if kind == "asset" and 0 <= position < len(assets):
        return Capture(asset=assets[position].filename)
    return Capture()
