"""The message classes equal TensorFlow's own, and broken bytes are errors with the reason."""

from __future__ import annotations

import subprocess
import sys

import pytest
from bytes_by_hand import field, varint
from releases import IS_OLDER

from safeload.errors import LimitExceededError, MalformedArtifactError
from safeload.readers.protobuf import (
    _count,
    dtype_bytes,
    dtype_name,
    enum_names,
    message_class,
    parse_message,
    parse_text,
)

ROOTS = {
    "tensorflow.core.protobuf.saved_model_pb2": ("SavedModel",),
    "tensorflow.core.protobuf.tensor_bundle_pb2": ("BundleHeaderProto", "BundleEntryProto"),
    "tensorflow.core.protobuf.trackable_object_graph_pb2": ("TrackableObjectGraph",),
    "tensorflow.core.protobuf.fingerprint_pb2": ("FingerprintDef",),
    "tensorflow.core.framework.variable_pb2": ("VariableDef",),
}


def _is_repeated(field):
    """Ask as protobuf 7 wants it, or as before 6.30, which has labels alone."""
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def facts(descriptor, seen=None):
    """Describe every message and enum below *descriptor* as comparable data."""
    seen = {} if seen is None else seen
    if descriptor.full_name in seen:
        return seen
    if not hasattr(descriptor, "fields"):
        seen[descriptor.full_name] = {value.number: value.name for value in descriptor.values}
        return seen
    seen[descriptor.full_name] = {
        field.number: (
            field.name,
            field.type,
            _is_repeated(field),
            # TensorFlow 2.16 names one of them without the suffix.
            field.containing_oneof and field.containing_oneof.name.removesuffix("_hack"),
            field.message_type and (field.message_type.full_name, field.message_type.GetOptions().map_entry),
            field.enum_type and field.enum_type.full_name,
        )
        for field in descriptor.fields
    }
    for member in descriptor.fields:
        below = member.message_type or member.enum_type
        if below is not None:
            facts(below, seen)
    return seen


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in ROOTS.items() for name in names], ids=lambda v: v
)
def test_messages_equal_those_of_tensorflow(module, name):
    """Every field, type, number, oneof and enum value below a root message is TensorFlow's; older ones have fewer."""
    theirs = facts(getattr(__import__(module, fromlist=[name]), name).DESCRIPTOR)
    ours = facts(message_class(name).DESCRIPTOR)
    if IS_OLDER:
        ours = {key: {number: ours[key].get(number) for number in theirs[key]} for key in theirs}
    assert ours == theirs


def test_keras_metadata_reads_what_tf_keras_writes():
    """The metadata of tf_keras SavedModels parses field for field."""
    theirs = pytest.importorskip("tf_keras.protobuf.saved_metadata_pb2").SavedMetadata()
    theirs.nodes.add(node_id=3, node_path="root.a", identifier="_tf_keras_model", metadata="{}")
    ours = parse_message("KerasSavedMetadata", theirs.SerializeToString(), where="keras_metadata.pb")
    assert str(ours) == str(theirs)


def test_a_tensorflow_model_parses_to_the_same_message(tmp_path):
    """A SavedModel that TensorFlow wrote has the same text and the same bytes through both classes."""
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    module = tf.Module()
    module.table = tf.Variable([1.0, 2.0])
    module.__call__ = tf.function(lambda x: x + module.table, input_signature=[tf.TensorSpec([None, 2])])
    tf.saved_model.save(module, str(tmp_path))
    data = (tmp_path / "saved_model.pb").read_bytes()
    theirs, ours = SavedModel.FromString(data), parse_message("SavedModel", data, where="saved_model.pb")
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
    text = text_format.MessageToString(theirs)
    assert text_format.MessageToString(ours) == text
    assert parse_text("SavedModel", text.encode(), where="saved_model.pbtxt") == ours


def test_unknown_fields_survive():
    """A field of a later release is kept and written back."""
    later = b"\x08\x01" + b"\xfa\x3f\x03new"
    assert parse_message("SavedModel", later, where="x").SerializeToString() == later


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x12\x05abc", "cut short"),
        (b"\xff\xff\xff", "cut short"),
        (b"\x0a\x02\xff\xfe", "cut short"),
    ],
    ids=["truncated", "no-tag", "string-is-not-utf8"],
)
def test_broken_bytes_are_malformed(data, problem):
    """Bytes that are no message are refused with the place."""
    with pytest.raises(MalformedArtifactError, match=problem) as caught:
        parse_message("NodeDef", data, where="saved_model.pb")
    assert caught.value.where == "saved_model.pb"


def test_deep_nesting_is_malformed():
    """More than 100 nested messages are refused, as TensorFlow does."""
    data = b""
    for _ in range(200):
        data = b"\x12" + varint(len(data)) + data
    with pytest.raises(MalformedArtifactError):
        parse_message("FullTypeDef", data, where="x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"meta_graphs {", "no SavedModel"),
        (b"nothing_such: 3", "nothing_such"),
        (b"\xff", "no SavedModel"),
        (b"meta_graphs { signature_def { value { inputs { value { dtype: 4294967296 } } } } }", "out of range"),
        (
            b"meta_graphs{graph_def{node{experimental_type{" + b"args{" * 3000,
            "SavedModel|nests",
        ),
    ],
    ids=["truncated", "unknown-field", "not-utf8", "large-enum", "deep"],
)
def test_broken_text_is_malformed(text, problem):
    """Text that is no message is refused with the reason."""
    with pytest.raises(MalformedArtifactError, match=problem):
        parse_text("SavedModel", text, where="saved_model.pbtxt")


@pytest.mark.parametrize("name", ["MAX_TEXT_BYTES", "MAX_TEXT_FIELDS"])
def test_long_text_is_refused(name, monkeypatch):
    """Text format is read up to a bound, because its parser is slow."""
    monkeypatch.setattr(f"safeload.readers.protobuf._parse.{name}", 4)
    with pytest.raises(LimitExceededError, match=name):
        parse_text("SavedModel", b"meta_graphs {}" * 5, where="saved_model.pbtxt")


def test_dtype_names_and_sizes_are_those_of_tensorflow():
    """Names equal ``tf.DType.name``; sizes equal what a checkpoint stores."""
    import tensorflow as tf
    from tensorflow.core.framework.types_pb2 import DataType

    assert IS_OLDER or set(enum_names("DataType")) == set(DataType.values())
    for number in DataType.values():
        if number:
            dtype = tf.dtypes.DType(number)
            assert dtype_name(number) == dtype.name
            if dtype.base_dtype not in (tf.string, tf.resource, tf.variant):
                assert dtype_bytes(dtype.name) == dtype.size
            else:
                assert dtype_bytes(dtype.name) is None
    assert dtype_name(0) is None
    assert dtype_name(9999) is None


def test_both_can_live_in_one_process_in_either_order():
    """TensorFlow's classes and these do not collide, whichever is made first."""
    code = (
        "from safeload.readers.protobuf import message_class; a = message_class('NodeDef')(name='x');"
        "from tensorflow.core.framework.node_def_pb2 import NodeDef;"
        "assert NodeDef.FromString(a.SerializeToString()).name == 'x' and type(a) is not NodeDef"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _graph(content):
    return field(2, field(2, content))


EMPTY = {
    "nodes": lambda n: _graph(field(1, b"") * n),
    "functions": lambda n: _graph(field(2, field(1, b"") * n)),
    "attributes": lambda n: _graph(field(1, field(5, b"") * n)),
    "function attributes": lambda n: _graph(field(1, field(5, field(2, field(1, field(9, b"") * n))))),
    "objects": lambda n: field(2, field(7, field(1, b"") * n)),
    "small functions": lambda n: _graph(field(2, field(1, field(3, b"") * 100) * (n // 100))),
    "graphs": lambda n: field(2, b"") * n,
    "nodes in a group": lambda n: b"\x7b" + _graph(field(1, b"") * n) + b"\x7c",
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_messages_without_end_are_refused(name, monkeypatch):
    """Two bytes a message would take a hundred bytes of memory each: they are counted before they are parsed."""
    monkeypatch.setattr(_count, "MAX_MESSAGES", 5000)
    assert parse_message("SavedModel", EMPTY[name](10), where="m") is not None
    with pytest.raises(LimitExceededError, match="MAX_MESSAGES") as caught:
        parse_message("SavedModel", EMPTY[name](6000), where="m")
    assert "Limits(" not in caught.value.hint


def _node_with(count):
    return field(1, field(5, field(1, b"k") + field(2, field(1, field(8, b"") * count))))


def test_many_small_messages_of_many_are_refused(monkeypatch):
    """Messages inside of small ones, each too small to be looked into, are counted where there are very many."""
    monkeypatch.setattr(_count, "MAX_MESSAGES", 3000)
    monkeypatch.setattr(_count, "MAX_INNER_MESSAGES", 10_000)
    monkeypatch.setattr(_count, "_FEW_BYTES", 10_000)
    assert parse_message("SavedModel", _graph(_node_with(1900)), where="m") is not None
    assert parse_message("SavedModel", _graph(_node_with(1900) * 4), where="m") is not None
    assert parse_message("SavedModel", _graph(_node_with(2) * 500), where="m") is not None
    with pytest.raises(LimitExceededError, match="MAX_INNER_MESSAGES"):
        parse_message("SavedModel", _graph(_node_with(1900) * 6), where="m")


def test_fields_without_end_are_refused(monkeypatch):
    """Counting itself ends."""
    monkeypatch.setattr(_count, "MAX_FIELDS", 5000)
    with pytest.raises(LimitExceededError, match="MAX_FIELDS"):
        parse_message("SavedModel", b"\x08\x01" * 6000, where="m")


@pytest.mark.parametrize("key", [b"\x0a", b"\x8a\x80\x00"], ids=["short", "longer-than-need-be"])
def test_no_start_of_a_message_is_missed(key, monkeypatch):
    """Bytes are parsed uncounted only where too few of them could start a message, however its number is written."""
    graph = (key + b"\x00") * 3
    assert len(message_class("GraphDef").FromString(graph).node) == 3
    monkeypatch.setattr(_count, "MAX_MESSAGES", 3)
    assert len(parse_message("GraphDef", graph, where="m").node) == 3
    monkeypatch.setattr(_count, "MAX_MESSAGES", 2)
    with pytest.raises(LimitExceededError, match="MAX_MESSAGES"):
        parse_message("GraphDef", graph, where="m")


def test_many_strings_are_no_messages(monkeypatch):
    """A vocabulary of many words in one constant is let through."""
    monkeypatch.setattr(_count, "MAX_MESSAGES", 100)
    made = message_class("TensorProto")(string_val=[b"word"] * 5000)
    assert parse_message("TensorProto", made.SerializeToString(), where="m") == made


def test_broken_bytes_are_refused_while_counting(monkeypatch):
    """Bytes that are too long to be parsed uncounted and end inside a number are no message."""
    monkeypatch.setattr(_count, "MAX_MESSAGES", 1)
    with pytest.raises(MalformedArtifactError, match="cut short"):
        parse_message("SavedModel", b"\x12\x00\x12\x00\x08\x80", where="m")
    with pytest.raises(MalformedArtifactError, match="no SavedModel"):
        parse_message("SavedModel", b"\x12\x00" * 9 + bytes(99), where="m")
