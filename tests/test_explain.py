"""Explanations of other loaders' errors, by their texts."""

from __future__ import annotations

import re

import pytest

from safeload._explain import FAILURE_MODES, explain, failure_mode, first_line, with_place
from safeload.errors import ArtifactNotFoundError, LoadFailedError

# Texts as TensorFlow 2.21, Keras 3.15.1 and tf_keras 2.21 raise them, shortened behind the first sentence.
TEXTS = {
    "autotrackable-object-is-not-callable": "'AutoTrackable' object is not callable",
    "userobject-object-is-not-callable": "'_UserObject' object is not callable",
    "userobject-has-no-attribute-predict": "'_UserObject' object has no attribute 'predict'",
    "file-format-not-supported": "File format not supported: filepath=m. Keras 3 only supports V3 `.keras` files, …",
    "file-signature-not-found": "Unable to synchronously open file (file signature not found)",
    "please-ensure-the-file-is-an-accessible-keras-zip-file": (
        "File not found: filepath=m.keras. Please ensure the file is an accessible `.keras` zip file."
    ),
    "module-object-is-not-callable": "'module' object is not callable",
    "object-is-not-a-mapping": "'list' object is not a mapping",
    "unknown-layer": "Unknown layer: 'Scale'. Please ensure you are using a `keras.utils.custom_object_scope`",
    "could-not-locate-class": (
        "Could not locate class 'Scale'. Make sure custom classes and functions are decorated with …"
    ),
    "unrecognized-keyword-arguments": "Unrecognized keyword arguments passed to DepthwiseConv2D: {'groups': 1}",
    "bad-marshal-data": "bad marshal data (unknown type code)",
    "deserialization-of-a-lambda": (
        "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda."
    ),
    "no-model-config-found": "No model config found in the file at m.h5",
    "could-not-find-matching-concrete-function": (
        "Could not find matching concrete function to call loaded from the SavedModel. Got:"
    ),
    "binding-inputs-to-tf-function-failed": (
        "Binding inputs to tf.function failed due to `too many positional arguments`"
    ),
    "expected-to-be-a-float-tensor": "input #0(zero-based) was expected to be a float tensor but is a int32 tensor",
    "serving-default-not-found": "'serving_default'",
    "requires-a-tags-argument": "Importing a SavedModel with `tf.saved_model.load` requires a `tags=` argument if …",
    "savedmodel-file-does-not-exist": "SavedModel file does not exist at: m/{saved_model.pbtxt|saved_model.pb}",
    "wire-format-was-corrupt": "Cannot parse file b'm/saved_model.pb': Error parsing message with type …",
    "unsuccessful-tensorslicereader-constructor": (
        "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for m"
    ),
    "truncated-file": (
        "Unable to synchronously open file (truncated file: eof = 8980, sblock->base_addr = 0, stored_eof = 17960)"
    ),
    "op-type-not-registered": "Op type not registered 'CaseFoldUTF8' in binary running on host.",
    "expected-variables-but-received-0": "Layer 'dense' expected 2 variables, but received 0 variables during loading.",
    "optimizer-arguments-not-recognized": "Argument(s) not recognized: {'lr': 0.001}",
    "could-not-deserialize-mse": "Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass",
    "only-instances-of-keras-layer": "Only instances of `keras.Layer` can be added to a Sequential model. Received: …",
    "unknown-layer-tfoplambda": "Could not locate class 'Functional'. Make sure custom classes and functions are …",
    "there-is-no-item-named-config-json": "There is no item named 'config.json' in the archive",
    "is-not-a-valid-parameter-name": "'in' is not a valid parameter name",
    "path-should-be-string-not-bytesio": "stat: path should be string, bytes, os.PathLike or integer, not BytesIO",
    "a-kerastensor-cannot-be-used": "A KerasTensor cannot be used as input to a TensorFlow function. A …",
    "layer-expects-1-input": 'Layer "functional" expects 1 input(s), but it received 2 input tensors.',
    "unable-to-create-a-keras-model-from-savedmodel": (
        "Unable to create a TF-Keras model from SavedModel at m. This SavedModel was exported with …"
    ),
    "unable-to-open-file-errno-2": (
        "[Errno 2] Unable to synchronously open file (unable to open file: name = 'm.h5', errno = 2, error message = …"
    ),
    "name-is-not-defined-in-a-lambda": "name 'K' is not defined",
    "nodedef-mentions-attr": "NodeDef mentions attr 'debug_name' not in Op<name=VarHandleOp; signature= -> …",
    "is-incompatible-with-the-layer": 'Input 0 of layer "dense" is incompatible with the layer: expected …',
    "variables-which-have-been-deleted": "Called a function referencing variables which have been deleted. This …",
    "attempting-to-capture-an-eagertensor": "Attempting to capture an EagerTensor without building a function.",
    "table-not-initialized": "Table not initialized.",
    "str-object-has-no-attribute-decode": "'str' object has no attribute 'decode'",
    "cannot-pickle-a-model": "cannot pickle 'FuncGraph' object",
}


def test_what_is_no_error():
    """It is told what to pass."""
    with pytest.raises(TypeError, match="error must be an exception or its text, not of type int"):
        explain(5)


def test_every_failure_mode_has_a_text():
    """The table and the texts of this test name the same modes, once each."""
    slugs = [mode.slug for mode in FAILURE_MODES]
    assert sorted(slugs) == sorted(TEXTS)


@pytest.mark.parametrize("mode", FAILURE_MODES, ids=lambda m: m.slug)
def test_text_is_explained_by_its_own_mode(mode):
    """The first mode that matches a text is the one meant for it; what to do stands in the third line."""
    lines = explain(RuntimeError(TEXTS[mode.slug])).splitlines()
    assert lines[0].startswith("RuntimeError: ")
    assert lines[1:] == [f"  why: {mode.cause}", f"  do: {mode.remedy}"]


# Other texts of the same modes: older releases, other layers, servers, mlflow, tensorflow_hub.
MORE_TEXTS = {
    "ConcreteFunction.__call__() got multiple values for argument 'self'": "is-not-a-valid-parameter-name",
    "Error when deserializing class 'InputLayer' using config={'batch_shape': …": "unrecognized-keyword-arguments",
    "get_tensor() takes 3 positional arguments but 13 were given": "unrecognized-keyword-arguments",
    "Could not interpret initializer identifier: {'module': …": "unrecognized-keyword-arguments",
    "Invalid value for argument score_mode. Expected values are": "unrecognized-keyword-arguments",
    "Weight count mismatch for layer #0 (named dense in …": "expected-variables-but-received-0",
    "Layer count mismatch when loading weights from file.": "expected-variables-but-received-0",
    "Shape mismatch in layer #0 (named dense)": "expected-variables-but-received-0",
    "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match.": (
        "expected-variables-but-received-0"
    ),
    "weight_decay is not a valid argument, kwargs should be empty for `optimizer_experimental.Optimizer`.": (
        "optimizer-arguments-not-recognized"
    ),
    "Got an incompatible argument to `tags`: 3. It must be a str or list/tuple": "requires-a-tags-argument",
    "Unknown signature default in …": "serving-default-not-found",
    "The endpoint 'predict' is neither an attribute of the reloaded SavedModel, nor an": "serving-default-not-found",
    "No versions of servable m found under base path /m": "savedmodel-file-does-not-exist",
    "Trying to load a model of incompatible/unknown type. 'm' contains neither 'saved_model.pb' nor …": (
        "savedmodel-file-does-not-exist"
    ),
    "Shape of input (3,) does not match expected shape (-1, 4).": "could-not-find-matching-concrete-function",
    "dtype of input float64 does not match expected dtype float32": "expected-to-be-a-float-tensor",
    "Binding inputs to tf.function failed due to `You are passing KerasTensor(…": "a-kerastensor-cannot-be-used",
    "Layer 'dense' expected 1 input(s). Received 2 instead.": "layer-expects-1-input",
    "Layer \"m\" expects 2 named input(s) with keys ['b', 'a'], but it received 1": "layer-expects-1-input",
    "Unable to restore a layer of class TextVectorization.": "unable-to-create-a-keras-model-from-savedmodel",
    "Invalid input shape for input [1. 1.]. Expected shape (None, 4), but input has incompatible shape (2,)": (
        "is-incompatible-with-the-layer"
    ),
    "Graph execution error:\n\nMatrix size-incompatible: In[0]: [2,5], In[1]: [4,8]": "is-incompatible-with-the-layer",
    "Only input tensors may be passed as positional arguments. The following": "is-incompatible-with-the-layer",
    "No file or directory found at m.h5": "unable-to-open-file-errno-2",
    "XlaCallModuleOp with version 10 is not supported by this build. Must be <= 9": "nodedef-mentions-attr",
    "Cannot deserialize computation\n\t [[{{node XlaCallModule}}]]": "nodedef-mentions-attr",
}


@pytest.mark.parametrize(("text", "slug"), MORE_TEXTS.items(), ids=lambda v: v[:40])
def test_other_wordings_are_explained_alike(text, slug):
    """What releases and layers word differently is one mode."""
    assert failure_mode(ValueError(text)).slug == slug


def test_cause_of_an_error_is_looked_at_too():
    """A wrapper around Keras's error changes nothing."""
    error = RuntimeError("loading failed")
    error.__cause__ = TypeError("'module' object is not callable")
    assert "custom_objects is a module" in explain(error)


def test_unknown_error_is_said_to_be_unknown():
    """No explanation is invented."""
    assert "safeload does not know this error" in explain(ValueError("the moon is full"))


def test_a_wrong_call_of_a_loader_is_no_matter_of_releases():
    """An argument that the loader does not have is a slip of the caller."""
    assert failure_mode(TypeError("load_model() got an unexpected keyword argument 'paht'")) is None
    assert failure_mode(TypeError("Dense.__init__() got an unexpected keyword argument 'quantization_config'"))


def test_text_alone():
    """A text that was copied from a log is explained too."""
    assert explain("Unknown layer: 'Scale'").splitlines()[0] == "Exception: Unknown layer: 'Scale'"


def test_own_errors_explain_themselves():
    """They say why and what to do; a failed load is explained by its cause."""
    error = ArtifactNotFoundError("m.h5")
    assert explain(error) == str(error)
    failed = LoadFailedError("m.h5", problem="Keras failed")
    failed.__cause__ = TypeError("'module' object is not callable")
    assert "custom_objects is a module" in explain(failed)


def test_headline_says_something():
    """What stands before the error itself, and colours, are left out."""
    error = ValueError("Exception encountered when calling Dense.call().\n\n\x1b[1mInput 0 of layer\x1b[0m\n\nmore")
    assert explain(error).splitlines()[0] == "ValueError: Input 0 of layer"
    error = ValueError("Graph execution error:\n\nDetected at node a (most recent):\n<stack traces>\nNo good")
    assert explain(error).splitlines()[0] == "ValueError: No good"
    text = "Error when deserializing class 'Dense'\n\nException encountered: No units. Full object config: {'x': 1}"
    assert explain(TypeError(text)).splitlines()[0] == "TypeError: No units."


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Could not infer 'b' (of type B). Error encountered:\n\nno units\nmore", "no units"),
        (
            "Exception encountered when calling B.call().\n\n\x1b[1m\x1b[0m\n\nArguments received by B.call():\n  • 1",
            "KeyError",
        ),
        (
            "Exception encountered when calling layer 'b' (type B).\n\nin user code:\n\n"
            '    File "b.py", line 2, in call  *\n        return x[0]\n\n    KeyError: no units\n\n\n'
            "Call arguments received by layer 'b' (type B):\n  • x=1",
            "no units",
        ),
    ],
)
def test_what_a_method_of_a_class_raised(text, line):
    """Keras 3, and AutoGraph below Keras 2, say around it where it was raised."""
    assert first_line(KeyError(text)) == line


class Initializer:
    """As the bases of Keras have it, a class whose module is Keras's."""

    __module__ = "keras.src.initializers"


class Own(Initializer):
    """A class of the caller's."""

    def call(self, text):
        raise LookupError(text)

    @classmethod
    def from_config(cls, config):
        return config["units"]


class NotOfKeras:
    """Another class."""

    def call(self, text):
        raise LookupError(text)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Own().call("no table"), "Own.call() raised LookupError: no table"),
        (lambda: Own().call(""), "Own.call() raised LookupError"),
        (lambda: Own.from_config({}), "Own.from_config() raised KeyError: units"),
        (lambda: NotOfKeras().call("no table"), "LookupError: no table"),
        (lambda: int("x"), "invalid literal for int() with base 10: 'x'"),
    ],
)
def test_the_method_that_raised_it(call, text):
    """It is named where it is of a class that derives from Keras's, also if Keras raised another error from it."""
    with pytest.raises(Exception, match="") as caught:
        call()
    assert with_place(caught.value) == text
    outer = ValueError("cannot be made")
    outer.__cause__ = caught.value
    assert with_place(outer) == (text if "Own" in text else "cannot be made")


def test_error_without_text_is_shown_by_its_type():
    """An empty text is no reason to fail."""
    assert explain(ValueError()).startswith("ValueError: ")


def test_long_errors_are_cut():
    """The headline is the first line that says something, of bounded length."""
    headline = explain(ValueError("\n\n" + "x" * 5000 + "\nmore")).splitlines()[0]
    assert headline == ("ValueError: " + "x" * 5000)[:160]


def test_long_errors_are_read_once():
    """Texts of Keras hold whole configs: reading them takes time in proportion to their length."""
    assert first_line(ValueError("x" * 10**7)) == "x" * 300
    assert first_line(ValueError("in user code:\n\n" + "\n" * 10**6 + "  x")) == "in user code:"


def test_the_error_itself_counts_before_its_causes():
    """A known error is explained although it was raised while another known one was handled."""
    error = ValueError("No model config found in the file at x.h5.")
    error.__cause__ = TypeError("'module' object is not callable")
    assert failure_mode(error).slug == "no-model-config-found"


def test_causes_in_a_circle_end():
    """Exceptions that are each other's causes are looked at a bounded number of times."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert failure_mode(one) is None


@pytest.mark.parametrize("mode", FAILURE_MODES, ids=lambda m: m.slug)
def test_every_entry_is_complete(mode):
    """Slugs are kebab-case; cause and remedy are one line that ends with a full stop."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mode.slug)
    for text in (mode.cause, mode.remedy):
        assert text.endswith(".")
        assert "\n" not in text
