"""The ladder that decides which callable of a model answers a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safeload.errors import AmbiguousSignatureError, NoCallableError, SignatureNotFoundError
from safeload.inspection._info import CallStructure, MetaGraphInfo, SignatureInfo

if TYPE_CHECKING:
    from safeload.inspection._info import ModelInfo, SavedModelInfo, TensorInfo, TFLiteInfo

DEFAULT_KEYS = ("serving_default", "default")
"""SignatureDef keys that a saver declares as the one to call.

Source: ``DEFAULT_SERVING_SIGNATURE_DEF_KEY`` in tensorflow/python/saved_model/signature_constants.py (2.21);
``"default"`` of the TF1 Hub format, https://www.tensorflow.org/hub/tf1_hub_module.
"""

KERAS_KEYS = frozenset({"model", "serving_default", "__call__"})
"""What may be asked of a Keras file, which has one callable: its key and what a SavedModel calls the same thing."""

TRAINING_NAMES = frozenset({"training", "is_training", "keras_learning_phase"})
"""Inputs that switch between training and inference.

Source: the ``training`` argument of Keras layers; ``is_training`` of tf.contrib.layers and TF1 Hub modules;
``keras_learning_phase`` of keras/backend.py (2.3).
"""

_SCOPED_NAME = "/keras_learning_phase"
"""The placeholder of Keras was made in the scope of the layer that asked first.

Source: ``learning_phase`` in tensorflow/python/keras/_impl/keras/backend.py (1.4).
"""

_KERAS_BOOKKEEPING = frozenset(
    {"call_and_return_conditional_losses", "call_and_return_all_conditional_losses", "activity_regularizer_fn"}
)
"""What Keras 2 attaches to every layer. Source: tf_keras/src/saving/legacy/saved_model/save_impl.py (2.21)."""

_MAX_LISTED_ENDS = 8

_EXPORT = (
    "save it again with a signature: tf.compat.v1.saved_model.simple_save(session, path, inputs, outputs); "
    "of an Estimator: estimator.export_saved_model(path, serving_input_receiver_fn)"
)


@dataclass(frozen=True)
class Choice:
    """What answers a call, and which rule chose it.

    Attributes:
        meta_graph: The MetaGraph of a SavedModel, else None.
        signature_info: The signature.
        reason: The rule, in words.
    """

    meta_graph: MetaGraphInfo | None
    signature_info: SignatureInfo
    reason: str


def choose(info: ModelInfo, *, signature: str | None = None, tags: str | Iterable[str] | None = None) -> Choice:
    """Choose the callable of a model.

    What the saver declared comes first: the default SignatureDef, else the only one. Then the object's own
    ``__call__``, then ``serve``, then the only traced function.

    Args:
        info: Facts about the model.
        signature: Key of a SignatureDef or name of a traced function; None to follow the ladder.
        tags: Tags of the MetaGraph, as one string or several; None for ``serve``.

    Returns:
        The signature. For a function with several traces, the one for inference that was traced first.

    Raises:
        SignatureNotFoundError: ``signature-not-found``. No signature, function or tag set of that name.
        AmbiguousSignatureError: ``ambiguous-signature``. Several candidates, none of them the default.
        NoCallableError: ``no-callable``. Nothing can be called.
    """
    if info.tflite is not None:
        return choose_in(_only_graph(info.tflite, tags), info.where, signature)
    if info.saved_model is None:
        return _choose_keras(info, signature, tags)
    return choose_in(choose_meta_graph(info.saved_model, info.where, tags), info.where, signature)


def _only_graph(info: TFLiteInfo, tags: str | Iterable[str] | None) -> MetaGraphInfo:
    """Return the signatures of a TensorFlow Lite model as those of a MetaGraph, which has no tags."""
    if tags is not None:
        raise SignatureNotFoundError(_tag_text(_tag_sets(tags)[0]), available=[], what="tag set")
    return MetaGraphInfo(0, frozenset(), info.signatures, missing_ops=info.missing_ops)


def choose_in(meta_graph: MetaGraphInfo, where: str, signature: str | None) -> Choice:
    """Choose the callable of one MetaGraph; see `choose`."""
    if signature is not None:
        return _requested(meta_graph, signature)
    choice = _declared(meta_graph) or _own_function(meta_graph)
    if choice is None:
        raise _undecided(meta_graph, where)
    return choice


def _choose_keras(info: ModelInfo, signature: str | None, tags: str | Iterable[str] | None) -> Choice:
    found = info.keras.signature if info.keras is not None else SignatureInfo(key="model", kind="keras")
    if signature is not None and signature not in KERAS_KEYS:
        raise SignatureNotFoundError(signature, available=[str(found)])
    if tags is not None:
        raise SignatureNotFoundError(_tag_text(_tag_sets(tags)[0]), available=[], what="tag set")
    return Choice(None, found, "the model of a Keras file")


def choose_meta_graph(info: SavedModelInfo, where: str, tags: str | Iterable[str] | None) -> MetaGraphInfo:
    """Choose the MetaGraph with *tags*: by default ``serve``, else the only one that is not for training alone.

    Raises:
        SignatureNotFoundError: ``signature-not-found``. No MetaGraph has these tags.
        AmbiguousSignatureError: ``ambiguous-signature``. Several could serve.
    """
    found = _tagged(info.meta_graphs, tags) if tags is not None else _for_serving(info.meta_graphs)
    available = [_tag_text(graph.tags) for graph in info.meta_graphs]
    if not found:
        wanted = _tag_sets(tags)[0] if tags is not None else frozenset({"serve"})
        raise SignatureNotFoundError(_tag_text(wanted), available=available, what="tag set")
    if len(found) > 1:
        raise AmbiguousSignatureError(where, candidates=[_tag_text(graph.tags) for graph in found], option="tags")
    return found[0]


def _tagged(graphs: Sequence[MetaGraphInfo], tags: str | Iterable[str]) -> list[MetaGraphInfo]:
    for wanted in _tag_sets(tags):
        found = [graph for graph in graphs if graph.tags == wanted]
        if found:
            return found
    return []


def _tag_sets(tags: str | Iterable[str]) -> list[frozenset[str]]:
    """Return the tag sets that *tags* may mean, most likely first.

    A string where a list was expected was saved as its single characters: ``"serve"`` also means ``{s, e, r, v}``.
    """
    if isinstance(tags, str):
        return [frozenset({tags} if tags else ()), frozenset(t.strip() for t in tags.split(",")), frozenset(tags)]
    return [frozenset(tags)]


def _for_serving(graphs: Sequence[MetaGraphInfo]) -> list[MetaGraphInfo]:
    rules = (
        lambda tags: tags == {"serve"},
        lambda tags: "serve" in tags and "train" not in tags,
        lambda tags: "train" not in tags,
        lambda tags: "serve" in tags,
    )
    for rule in rules:
        found = [graph for graph in graphs if rule(graph.tags)]
        if found:
            return found
    return []


def _tag_text(tags: Iterable[str]) -> str:
    return ",".join(sorted(tags))


def _declared(meta_graph: MetaGraphInfo) -> Choice | None:
    by_key = {found.key: found for found in meta_graph.signatures}
    for key in DEFAULT_KEYS:
        if key in by_key:
            return Choice(meta_graph, _as_inference(by_key[key]), f"the saver declared {key!r}")
    if len(by_key) == 1:
        return Choice(meta_graph, _as_inference(meta_graph.signatures[0]), "the only signature")
    return None


def _own_function(meta_graph: MetaGraphInfo) -> Choice | None:
    keys = [*_function_keys(meta_graph), *_public(meta_graph.unread)]
    for key, reason in (("__call__", "the object's own __call__"), ("serve", "the object's 'serve'")):
        if key in keys:
            return Choice(meta_graph, _traces(meta_graph, key)[0], reason)
    # A part is not the model, even where it is all that was traced.
    if len(keys) == 1 and "." not in keys[0] and not meta_graph.signatures:
        return Choice(meta_graph, _traces(meta_graph, keys[0])[0], "the only traced function")
    return None


def _traces(meta_graph: MetaGraphInfo, key: str) -> tuple[SignatureInfo, ...]:
    """Return the traces of the function *key*.

    Raises:
        SignatureNotFoundError: ``signature-not-found``. They cannot be read; nothing else answers in its place.
    """
    if key in meta_graph.unread:
        raise SignatureNotFoundError(key, available=_listed(meta_graph), what=_UNREAD)
    return traces_of(meta_graph, key)


_UNREAD = "function whose recorded arguments and results can be read:"


def _function_keys(meta_graph: MetaGraphInfo) -> list[str]:
    return _public(dict.fromkeys(f.key for f in meta_graph.functions))


def _public(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if _is_public(key.rpartition(".")[2])]


def _is_public(name: str) -> bool:
    return name == "__call__" or not (name.startswith("_") or name in _KERAS_BOOKKEEPING)


def candidates(meta_graph: MetaGraphInfo) -> list[SignatureInfo]:
    """Return everything that ``signature=`` may name: SignatureDefs, then one trace of each other public function."""
    taken = {found.key for found in meta_graph.signatures}
    keys = [key for key in _function_keys(meta_graph) if key not in taken]
    return [*meta_graph.signatures, *(traces_of(meta_graph, key)[0] for key in keys)]


def _undecided(
    meta_graph: MetaGraphInfo, where: str
) -> AmbiguousSignatureError | NoCallableError | SignatureNotFoundError:
    found = _listed(meta_graph)
    if unread := sorted(_public(meta_graph.unread)):
        return SignatureNotFoundError(unread[0], available=found, what=_UNREAD)
    if found:
        return AmbiguousSignatureError(where, candidates=found)
    if meta_graph.has_object_graph:
        return NoCallableError(where, holds="an object without traced functions")
    return NoCallableError(where, holds="a graph without signatures", hint=_EXPORT)


def _listed(meta_graph: MetaGraphInfo) -> list[str]:
    """Return what ``signature=`` may name as text, what takes inputs and gives floats first: predictions mostly do."""
    found = sorted(candidates(meta_graph), key=_rank)
    rest = len(meta_graph.ends) - _MAX_LISTED_ENDS
    more = [f"{rest:,} more nodes that nothing uses"] if rest > 0 else []
    return [*map(str, found), *meta_graph.ends[:_MAX_LISTED_ENDS], *more]


def _rank(candidate: SignatureInfo) -> tuple[bool, bool]:
    return not any(map(_is_float, candidate.outputs)), not candidate.inputs


def _is_float(info: TensorInfo) -> bool:
    return "float" in (info.dtype or "")


def _requested(meta_graph: MetaGraphInfo, key: str) -> Choice:
    for found in meta_graph.signatures:
        if found.key == key:
            return Choice(meta_graph, _as_inference(found), f"signature={key!r} was asked for")
    traces = _traces(meta_graph, key) or _traces(meta_graph, f"{key}.__call__")
    if traces:
        return Choice(meta_graph, traces[0], f"the function {key!r} was asked for")
    raise SignatureNotFoundError(key, available=_listed(meta_graph))


def answering(meta_graph: MetaGraphInfo, key: str) -> tuple[SignatureInfo, ...]:
    """Return what answers *key*: one SignatureDef, or every trace of a function, those for inference first.

    Raises:
        SignatureNotFoundError: ``signature-not-found``. There is none of that name.
    """
    chosen = _requested(meta_graph, key).signature_info
    return (chosen,) if chosen.kind == "signature" else traces_of(meta_graph, chosen.key)


def traces_of(meta_graph: MetaGraphInfo, key: str) -> tuple[SignatureInfo, ...]:
    """Return every trace of the function *key*, those for inference first; empty if there is none."""
    found = [function for function in meta_graph.functions if function.key == key]
    return tuple(_as_inference(trace) for trace in sorted(found, key=_training_rank))


def _training_rank(trace: SignatureInfo) -> int:
    """Rank ``training=False`` before no word of training, before None, before True."""
    structure = trace.structure or CallStructure()
    constants = [tree for name, tree in (*structure.args, *structure.kwargs) if name in TRAINING_NAMES]
    return max((_RANKS[tree] for tree in constants if tree is None or isinstance(tree, bool)), default=0)


_RANKS = {False: 0, None: 1, True: 2}


def _as_inference(trace: SignatureInfo) -> SignatureInfo:
    """Let a call leave out the tensors that have a default, and those that switch training on: they are False then."""
    defaults = dict(trace.defaults)
    return replace(
        trace,
        inputs=tuple(
            replace(info, optional=True) if info.name in defaults or is_training_switch(info) else info
            for info in trace.inputs
        ),
    )


def is_training_switch(info: TensorInfo) -> bool:
    """Tell whether an input asks for training, so that leaving it out means False: one value, for a call makes it."""
    is_one = all(size in (None, 1) for size in info.shape or ())
    return is_one and info.dtype == "bool" and (info.name in TRAINING_NAMES or info.name.endswith(_SCOPED_NAME))
