"""What a Keras config may not hold: an allow-list over every value of it, nested and training parts included.

The file's own config and its normal form are both judged: what the normaliser
drops was still meant by somebody. Layer: policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from safeload.dialects import COMPAT_MODULE, CONSTANT, is_application_layer, is_builtin
from safeload.inspection import Place, is_marker, is_object, notable_places, own_values
from safeload.policy._finding import Finding, Severity
from safeload.policy.keras_bytecode import SHORTEST_CODE_BYTES, digest_of, read_bytecode
from safeload.policy.keras_names import (
    ARRAY_DTYPES,
    COLUMN_PATHS,
    KNOWN_MARKERS,
    SYMBOL_KEYS,
    TYPE_SPEC_MODULES,
    TYPE_SPECS,
    VOCABULARY_KEYS,
    is_keras,
    is_pure_symbol,
    judge_class,
    judge_function,
)
from safeload.policy.keras_outputs import empty_transforms, enlarging_layers
from safeload.policy.keras_patterns import slow_patterns
from safeload.policy.keras_pickles import read_pickle
from safeload.policy.keras_sizes import config_of, oversized_layers, unrolled_layers

if TYPE_CHECKING:
    from safeload.inspection import KerasInfo, ModelInfo

_AUTHOR = "ask the author for a file without it"
_NAME = "name"
_LAYERS = "keras.layers"
_MAX_EVIDENCE = 160
"""Characters of what was found: enough for a command or a path as a whole."""
# Parent components, absolute paths of POSIX and Windows, schemes. A "/" inside is how Keras 2 scopes names.
_PATH = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:[/\\]|://|\x00")


def examine_keras(info: ModelInfo) -> Iterator[Finding]:
    """Yield what is wrong with the Keras config of *info*, each matter once.

    Guarantees:
        Every dict that names a class, and every string, of the config, of the training config and of the normal form
        has been passed to every rule that may find something in it. Nothing that they name was looked up or imported.
    """
    if info.keras is None:
        return
    raw = {(f.rule, f.evidence, f.identifier): f for f in _examine_raw(info.keras)}
    yield from raw.values()
    # Normalising moves things: what was found in the file's own config is not reported a second time.
    told = {(rule, evidence) for rule, evidence, _ in raw}
    for finding in (
        *_examine_places(info.keras.places, frozenset(map(id, info.keras.raw_places))),
        *oversized_layers(info.keras),
        *enlarging_layers(info.keras),
        *empty_transforms(info.keras),
        *unrolled_layers(info.keras),
        *slow_patterns(info.keras),
    ):
        if (finding.rule, finding.evidence) not in told:
            yield finding
            told.add((finding.rule, finding.evidence))
    _digest_of_owner.cache_clear()  # which holds on to the config


def _examine_raw(keras: KerasInfo) -> Iterator[Finding]:
    return _apply_rules(keras.raw_places)


def _apply_rules(places: Iterable[Place]) -> Iterator[Finding]:
    for place in places:
        for rule in _rules_for(place):
            yield from rule(place)


def examine_recorded(tree: Any, where: str) -> Iterator[Finding]:
    """Yield what is wrong with *tree*, JSON that Keras wrote at the place *where*."""
    return _apply_rules(notable_places(tree, where))


def examine_config(config: Any) -> Iterator[Finding]:
    """Yield what is wrong with *config*, a normal form or what was lowered from one."""
    return _examine_places(notable_places(config))


def _examine_places(places: Iterable[Place], examined: Container[int] = ()) -> Iterator[Finding]:
    for place in places:
        value = place.value
        for rule in _rules_for(place) if id(place) not in examined else ():
            if rule is not references or not _is_compat(value):
                yield from rule(place)
        if place.is_object and "inbound_nodes" in value:
            yield from constant_nodes(place)


def _rules_for(place: Place) -> tuple[Callable[[Place], Iterator[Finding]], ...]:
    """Return the rules that may find something at *place*: most objects are layers and parts that every model has."""
    value = place.value
    if place.is_object:
        return OBJECT_RULES if _may_be_refused(value) else ()
    if isinstance(value, str):
        is_short_name = place.key == _NAME and len(value) < SHORTEST_CODE_BYTES
        return () if is_short_name and not _PATH.search(value) else TEXT_RULES
    return MARKER_RULES if "class_name" in value else ()


def _may_be_refused(value: dict[str, Any]) -> bool:
    module, name = value.get("module"), value["class_name"]
    home = _LAYERS if module is None else module  # Keras 2 names layers alone
    if not isinstance(home, str) or value.get("registered_name") not in (None, name) or not is_builtin(home, name):
        return True
    return not _is_harmless(module, name) or "lambda" in config_of(value).values()


@cache  # of the classes that there are, no others
def _is_harmless(module: str | None, name: str) -> bool:
    """Tell whether no rule finds anything in objects of the class *name*, unless their config declares a lambda."""
    is_judged_by_config = name in {"function", "Lambda"} or name in SYMBOL_KEYS
    return not is_judged_by_config and judge_class(module, name) is None


def _is_compat(value: Any) -> bool:
    return isinstance(value, dict) and value.get("module") == COMPAT_MODULE


def bytecode(place: Place) -> Iterator[Finding]:
    """Find Python bytecode, wherever it stands and however it is wrapped."""
    code = read_bytecode(place.value)
    if code is not None:
        yield _bytecode_finding(place, str(code))


def pickles(place: Place) -> Iterator[Finding]:
    """Find pickled Python objects, which classes that are not Keras's may unpickle."""
    words = read_pickle(place.value)
    if words is not None:
        named = f"{len(place.value)} characters naming {_short(', '.join(words))}"
        digest, name = _around(place)
        yield Finding(
            "pickled-object",
            Severity.DANGEROUS,
            place.where,
            f"{named} (sha256 {digest_of(place.value)})",
            f"a pickled Python object in {name!r} would run what it names, if a class unpickles it ({named})",
            "ask the author for a class that is made from numbers and texts",
            f"pickle:{name}@sha256:{digest}",
        )


def lambda_values(place: Place) -> Iterator[Finding]:
    """Find ``__lambda__`` values that are not readable."""
    if place.value["class_name"] == "__lambda__" and not _holds_bytecode(place.value):
        yield _bytecode_finding(place, "unreadable bytecode")


def lambda_layers(place: Place) -> Iterator[Finding]:
    """Find Lambda layers whose function is neither named nor readable."""
    value = place.value
    if _declares_unreadable(config_of(value)):
        yield _bytecode_finding(place._replace(owner=value), "unreadable bytecode")
    elif value["class_name"] == "Lambda" and not _names_function(value):
        yield Finding(
            "lambda-function",
            Severity.UNEXAMINED,
            place.where,
            _short(config_of(value).get("function")),
            f"the Lambda layer {_name_of(value)!r} holds no named function",
            _AUTHOR,
        )


def _declares_unreadable(config: Mapping[str, Any]) -> bool:
    """Tell whether a key such as ``output_shape_type`` declares bytecode where none can be recognised.

    Source: ``Lambda.get_config`` and ``_parse_function_from_config`` of Keras 2; ``Merge.get_config`` of Keras 1.2.
    """
    if "lambda" not in config.values():
        return False  # as almost everywhere
    declared = [key.removesuffix("_type") for key, kind in config.items() if key.endswith("_type") and kind == "lambda"]
    return any(not _holds_bytecode(config.get(key)) for key in declared)


def _names_function(layer: Any) -> bool:
    function = config_of(layer).get("function")
    if isinstance(function, str):
        return True
    is_reference = isinstance(function, dict) and function.get("class_name") == "function"
    return is_reference or _holds_bytecode(function)


def _holds_bytecode(value: Any) -> bool:
    """Tell whether a function, readable or not, stands in *value*; what is in objects inside of it is theirs."""
    return any(
        read_bytecode(found) is not None if isinstance(found, str) else _is_function(found) and found is not value
        for found in own_values(value)
    )


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__lambda__"


def _bytecode_finding(place: Place, summary: str) -> Finding:
    digest, name = _around(place)
    return Finding(
        "lambda-bytecode",
        Severity.DANGEROUS,
        place.where,
        f"{summary} (sha256 {digest_of(place.value)})",
        f"Python bytecode in {name!r} would run ({summary})",
        "ask the author for a registered class or function in place of the lambda",
        f"lambda:{name}@sha256:{digest}",
    )


def _around(place: Place) -> tuple[str, str]:
    """Return the hash and the name of the object around code.

    The arguments, shapes and weights of a layer feed its function: the hash covers all of it.
    """
    owner = place.owner if place.owner is not None else place.value
    return _digest_of_owner(_Same(owner)), _name_of(owner)


class _Same:
    """A value that is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@lru_cache(maxsize=256)  # more than there are levels: an owner of very many codes is hashed once, not for each
def _digest_of_owner(owner: _Same) -> str:
    return digest_of(owner.value)


def references(place: Place) -> Iterator[Finding]:
    """Find classes and functions that no config may name."""
    value = place.value
    module, name = value.get("module"), value["class_name"]
    if module is not None and not isinstance(module, str):
        yield _unexamined("reference", place, f"the module of {name!r} is no text", _short(module))
        return
    verdict = judge_class(module, name)
    if name == "function":
        name = value.get("config")
        if not isinstance(name, str):
            yield _unexamined("reference", place, "a function without a name", _short(name))
            return
        verdict = judge_function(module, name)
    if verdict is not None:
        evidence = f"{module}.{name}" if module else name
        yield Finding(verdict.rule, Severity.DANGEROUS, place.where, evidence, verdict.message, _AUTHOR)


def second_names(place: Place) -> Iterator[Finding]:
    """Find built-in objects with a second, registered name: which of the two is meant differs between loaders."""
    value = place.value
    name, registered = value["class_name"], value.get("registered_name")
    is_registered = registered == f"Custom>{name}" and is_application_layer(value.get("module"), name)
    if registered not in (None, name) and not is_registered and _is_builtin_class(value):
        message = f"{name} of Keras is also called {registered!r}"
        yield _unexamined("second-name", place, message, str(registered))


def _is_builtin_class(value: Any) -> bool:
    module = value.get("module")
    return isinstance(module, str) and is_keras(module) and value["class_name"] != "function"


def markers(place: Place) -> Iterator[Finding]:
    """Find encoded values of unknown kinds, of strange dtypes, and type specs of other packages."""
    value = place.value
    marker, config = value["class_name"], config_of(value)
    if not isinstance(marker, str):
        yield _unexamined("marker", place, "a class name that is no text", _short(marker))
    elif marker == "__lambda__":
        return
    elif marker not in KNOWN_MARKERS:
        yield _unexamined("marker", place, f"the encoded value {marker} is unknown", marker)
    elif marker == "__typespec__" and not _is_plain_spec(value):
        yield _unexamined("type-spec", place, "a type spec of another package", _short(value))
    elif marker in {"__numpy__", "__tensor__"} and not _is_one_of(ARRAY_DTYPES, config.get("dtype")):
        yield _unexamined("array-dtype", place, "an array of a dtype that no model has", _short(config.get("dtype")))


def _is_plain_spec(value: Any) -> bool:
    is_known = _is_one_of(TYPE_SPECS, value.get("spec_name")) and _is_one_of(TYPE_SPEC_MODULES, value.get("module"))
    return is_known and value.get("registered_name") is None


def path_names(place: Place) -> Iterator[Finding]:
    """Find layer names that are paths: Keras makes directories of them."""
    if place.key == _NAME and isinstance(place.value, str) and _PATH.search(place.value):
        message = f"the name {_short(place.value)!r} is a path out of the model"
        yield Finding("path-name", Severity.DANGEROUS, place.where, _short(place.value), message, _AUTHOR)


def vocabulary_paths(place: Place) -> Iterator[Finding]:
    """Find vocabularies given as a path, which Keras reads from the host or the network."""
    if place.key in VOCABULARY_KEYS and isinstance(place.value, str) and _is_direct(place):
        yield _path_finding(place, place.key, place.value)


def column_paths(place: Place) -> Iterator[Finding]:
    """Find feature columns that read a vocabulary or weights from a path: they do so wherever the class is from."""
    key = COLUMN_PATHS.get(place.value["class_name"], "")
    path = config_of(place.value).get(key)
    if path is not None:
        yield _path_finding(place, key, path)


def _path_finding(place: Place, key: str, path: Any) -> Finding:
    message = f"{key} is the path {_short(path)!r}, which would be read on this machine"
    hint = "ask the author for a SavedModel, or a model with the vocabulary itself in it"
    return Finding("vocabulary-path", Severity.DANGEROUS, place.where, _short(path), message, hint)


def _is_direct(place: Place) -> bool:
    # A list of words below the key has the key as well; only the value itself can be a path.
    return place.where.endswith(f".{place.key}")


def tensorflow_symbols(place: Place) -> Iterator[Finding]:
    """Find layers that call functions of TensorFlow other than the pure ones."""
    value = place.value
    if value["class_name"] not in SYMBOL_KEYS:
        return
    key = SYMBOL_KEYS[value["class_name"]]
    symbol = config_of(value).get(key)
    symbol = symbol.get("op") if isinstance(symbol, dict) else symbol  # a NodeDef as JSON
    if not isinstance(symbol, str) or not is_pure_symbol(value["class_name"], symbol):
        message = f"{value['class_name']} calls tf.{_short(symbol)}, which is not among the pure functions"
        yield Finding("tensorflow-symbol", Severity.DANGEROUS, place.where, _short(symbol), message, _AUTHOR)


def constant_nodes(place: Place) -> Iterator[Finding]:
    """Find nodes that no tensor enters: Keras records none, and would run them while it builds the model."""
    value = place.value
    if not is_object(value) or value["class_name"] == "InputLayer" or not isinstance(value.get("inbound_nodes"), list):
        return
    for node in value["inbound_nodes"]:
        if not any(_is_tensor(found, node) for found in own_values(node)):
            message = f"{_name_of(value)!r} is called on constants, while the model is built"
            yield _unexamined("constant-node", place, message, _short(node))


TEXT_RULES: tuple[Callable[[Place], Iterator[Finding]], ...] = (bytecode, pickles, path_names, vocabulary_paths)
"""Rules that look at one string each, in reading order."""

OBJECT_RULES: tuple[Callable[[Place], Iterator[Finding]], ...] = (
    lambda_layers,
    references,
    second_names,
    tensorflow_symbols,
    column_paths,
)
"""Rules that look at one serialized object each."""

MARKER_RULES: tuple[Callable[[Place], Iterator[Finding]], ...] = (lambda_values, markers)
"""Rules that look at one dict each whose class is that of an encoded value, or no text."""

KERAS_RULES: tuple[Callable[[ModelInfo], Iterator[Finding]], ...] = (examine_keras,)
"""What `policy.RULES` takes from here."""


def _is_tensor(value: Any, node: Any) -> bool:
    """Tell whether *value* is a tensor in *node*.

    Nodes of Keras 3 are dicts of args and kwargs with markers in them, those of tf_keras lists with ``[layer, call,
    tensor, …]``, or dicts of such lists where the layer is called on a dict.
    """
    is_of_keras_3 = isinstance(node, dict) and node.keys() >= {"args", "kwargs"}
    if not is_of_keras_3 and isinstance(value, list):
        return len(value) in {3, 4} and isinstance(value[0], str) and value[0] != CONSTANT
    return is_marker(value) and bool(value["class_name"] == "__keras_tensor__")


def _unexamined(rule: str, place: Place, message: str, evidence: str) -> Finding:
    return Finding(rule, Severity.UNEXAMINED, place.where, evidence, message, _AUTHOR)


def _is_one_of(names: frozenset[str], value: Any) -> bool:
    return isinstance(value, str) and value in names


def _name_of(value: Any) -> str:
    if not isinstance(value, dict):
        return "config"
    return str(config_of(value).get("name") or value.get("name") or value.get("class_name") or "config")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_EVIDENCE else text[:_MAX_EVIDENCE] + "…"
