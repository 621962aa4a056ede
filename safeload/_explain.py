"""What the errors of other loaders mean. Layer: beside `_load`; standard library alone.

Knows texts, not models: it opens no file and imports no loader.
"""

from __future__ import annotations

import re
import traceback
from types import FrameType
from typing import NamedTuple

_OWN = "safeload.errors"
"""Where the exceptions are that say themselves what to do."""

_COLOUR = re.compile(r"\x1b\[\d*m")

_OPENERS = (
    "Exception encountered when calling", "config=",
    "Graph execution error:", "Detected at node", 'File "', "Node:", "<stack traces", "[[{{node",
)  # fmt: skip
"""How lines begin that say where and not what.

Source: ``inject_argument_info_in_traceback`` and ``deserialize_keras_object`` (keras 3.15), ``GraphExecutionError`` of
python/eager/execute.py (TensorFlow 2.21).
"""

_INNER, _REST = (
    re.compile(r"(?:Exception|Error) encountered:\s"),
    re.compile("Full object config|(?:Call a|A)rguments received by"),
)
"""What Keras writes before the cause of an error, and before a config and arguments that follow it.

Source: ``deserialize_keras_object``, and ``compute_output_spec`` of ops/operation.py (keras 3.15).
"""

_IN_USER_CODE = re.compile(r"in user code:\n\n.*?\n\n +\w+: ?", re.DOTALL)
"""What AutoGraph writes before the text of an error: the lines that led to it, and its type.

Source: ``ErrorMetadataBase.get_message`` of python/autograph/impl/api.py and pyct/error_utils.py (TensorFlow 2.21).
"""

_LIBRARIES = frozenset({"keras", "tf_keras", "tensorflow", "safeload"})


class FailureMode(NamedTuple):
    """An error that people meet when they load models with TensorFlow or Keras.

    Attributes:
        slug: Name of its page in ``docs/how-to/errors``.
        pattern: Regular expression that its text matches.
        cause: Why it happens, in one sentence.
        remedy: What to do, in one sentence; the call of safeload where there is one.
    """

    slug: str
    pattern: str
    cause: str
    remedy: str


_LOAD = "predict = safeload.load_callable(path)"

# Texts as raised by TensorFlow 1.15 to 2.21, Keras 2.2 to 3.15.1 and tf_keras 2.16 to 2.21. The first match counts.
FAILURE_MODES: tuple[FailureMode, ...] = (
    FailureMode(
        "autotrackable-object-is-not-callable",
        r"'AutoTrackable' object is not callable",
        "the file is a SavedModel of TensorFlow 1: it has signatures and no object to call.",
        f"{_LOAD} takes the signature; signature= chooses among several.",
    ),
    FailureMode(
        "userobject-object-is-not-callable",
        r"'_UserObject' object is not callable",
        "the SavedModel records functions and signatures and no __call__, as after Keras 3's model.export().",
        f"{_LOAD} takes the declared signature; safeload.as_callable(loaded) does it for an object in hand.",
    ),
    FailureMode(
        "userobject-has-no-attribute-predict",
        r"'(_UserObject|AutoTrackable)' object has no attribute '\w+'",
        "a SavedModel loads as functions for inference; it is no Keras model.",
        f"{_LOAD}; predict(x), and predict.predict(x, batch_size=32) for much data.",
    ),
    FailureMode(
        "file-format-not-supported",
        r"File format not supported|only supports V3 `?\.keras|Keras Core only supports",
        "Keras 3 decides by the suffix and reads .keras and .h5 alone, no SavedModel and nothing else.",
        f"{_LOAD} decides from the bytes; `safeload show PATH` says what the file is.",
    ),
    FailureMode(
        "file-signature-not-found",
        r"file signature not found",
        "the loader expects HDF5 and the file is a .keras archive, a git-LFS pointer, a web page, or empty.",
        f"{_LOAD} reads it if it is a model; `safeload show PATH` says what it is if it is not.",
    ),
    FailureMode(
        "please-ensure-the-file-is-an-accessible-keras-zip-file",
        r"Please ensure the file is an accessible",
        "the path does not exist, or the file named .keras is HDF5 or a truncated archive.",
        f"{_LOAD} reads HDF5 under any name and says when a file is incomplete.",
    ),
    FailureMode(
        "module-object-is-not-callable",
        r"'module' object is not callable",
        "a value of custom_objects is a module where a class or function is needed.",
        f"{_LOAD[:-1]}, custom_objects={{'MyLayer': my_module}}) looks inside the module; or modules=[my_module].",
    ),
    FailureMode(
        "object-is-not-a-mapping",
        r"'(module|list|type|tuple|function)' object is not a mapping",
        "custom_objects is a module, a list or a class, and Keras takes a dict alone.",
        f"{_LOAD[:-1]}, custom_objects=my_module) takes a dict, a module, or a list of classes and functions.",
    ),
    FailureMode(
        "unknown-layer-tfoplambda",
        r"Unknown layer:? '?(TFOpLambda|SlicingOpLambda|Functional|Model|Sequential|Relu)\b|"
        r"Could not locate class '(Functional|Sequential|TFOpLambda|SlicingOpLambda)'|"
        r"parent module `?(tf_)?keras[\w.]*`? cannot be imported",
        "the class is one of Keras itself, which another release had under this name or in this place.",
        f"{_LOAD} translates it; nothing of yours is missing.",
    ),
    FailureMode(
        "there-is-no-item-named-config-json",
        r"no item named '?(config|metadata)\.json'? in the archive",
        "the zip file named .keras is no Keras archive: a packed SavedModel, arrays of numpy, or something else.",
        f"{_LOAD} looks inside the archive; `safeload show PATH` says what it is.",
    ),
    FailureMode(
        "is-not-a-valid-parameter-name",
        r"'\w+' is not a valid parameter name|got multiple values for argument 'self'",
        "an input of a signature is named like a word of Python, and TensorFlow makes a parameter of it.",
        f"{_LOAD}; predict(x), or predict({{'in': x}}) where there are several inputs.",
    ),
    FailureMode(
        "path-should-be-string-not-bytesio",
        r"path should be string, bytes, os\.PathLike|os\.PathLike object, not \w*(IO|File|Reader)",
        "the loader takes a path alone, and was given a file object or bytes.",
        f"{_LOAD[:-5]}io.BytesIO(data)) takes bytes and open files.",
    ),
    FailureMode(
        "unknown-layer",
        r"Unknown (layer|loss function|metric function|activation function|initializer|object)",
        "the config names a class or function that the installed Keras lacks: yours, or one of an older release.",
        f"{_LOAD[:-1]}, modules=[my_module]) finds yours by name; layers of older releases load as they were.",
    ),
    FailureMode(
        "could-not-deserialize-mse",
        r"Could not locate function '(mse|mae|mape|msle|kld|cosine_similarity)'|not a KerasSaveable subclass",
        "the file records a loss or metric by a short name that Keras 3 does not find again; only training needs it.",
        f"{_LOAD} never compiles, so losses and metrics do not matter.",
    ),
    FailureMode(
        "could-not-locate-class",
        r"Could not locate (class|function)|cannot be imported",
        "the .keras file names a class or function that Keras cannot import: yours, a moved one, or one for training.",
        f"{_LOAD[:-1]}, modules=[my_module]) finds it by name wherever it lives now; never what only training needs.",
    ),
    FailureMode(
        "unrecognized-keyword-arguments",
        r"Unrecognized keyword arguments|Keyword argument not understood|"
        r"(?<!load_model\(\) )got an unexpected keyword argument|"
        r"Error when deserializing class|get_tensor\(\) takes \d|Could not interpret initializer identifier: \{|"
        r"Invalid value for argument `?score_mode",
        "the config was written by another release, with keys or values that this class does not know.",
        f"{_LOAD} knows the configs of every release since 2017 and drops keys only where they hold the neutral value.",
    ),
    FailureMode(
        "only-instances-of-keras-layer",
        r"Only instances of `?keras\.Layer`? can be added to a Sequential model",
        "a custom class is derived from a layer of tf_keras (Keras 2), and Keras 3 takes its own alone.",
        f"{_LOAD[:-1]}, modules=[my_module]) builds the model with the Keras that the class is derived from.",
    ),
    FailureMode(
        "bad-marshal-data",
        r"bad marshal data",
        "the file holds a Lambda layer as Python bytecode of another Python version.",
        "no loader can run it: build the architecture in code and pass architecture=build to load the weights.",
    ),
    FailureMode(
        "name-is-not-defined-in-a-lambda",
        r"^name '(K|tf|keras|backend|np|tfa)' is not defined",
        "a Lambda layer is stored as code without the names around it, and refers to one of them.",
        f"{_LOAD[:-1]}, custom_objects={{'K': keras.ops}}, trusted=[…]) gives it what it refers to.",
    ),
    FailureMode(
        "deserialization-of-a-lambda",
        r"Requested the deserialization of a `?(Lambda|TFSMLayer)|Lambda layer whose `function` is a Python lambda",
        "the model holds a Lambda layer: arbitrary code that would run on this machine.",
        f"{_LOAD} refuses it too and names it; trusted=[…] permits exactly that code, if you trust its author.",
    ),
    FailureMode(
        "no-model-config-found",
        r"No model (config )?found in (the|config) file|No model config found",
        "the file holds weights alone.",
        f"{_LOAD[:-1]}, architecture='model.json') or architecture=build_model.",
    ),
    FailureMode(
        "a-kerastensor-cannot-be-used",
        r"A KerasTensor cannot be used as input|You are passing KerasTensor",
        "a function of TensorFlow was called with a symbolic input of Keras, which holds no values.",
        f"{_LOAD}, and keras.layers.Lambda(predict)(x): as a layer it runs when there are values.",
    ),
    FailureMode(
        "layer-expects-1-input",
        r"expects \d+ (named )?input\(s\).{0,200}, but it received|expected \d+ input\(s\)\. Received \d",
        "a Keras model was given another number of tensors than it has inputs, often a list around a single one.",
        f"{_LOAD}; the error of a call that does not fit shows the one that does.",
    ),
    FailureMode(
        "is-incompatible-with-the-layer",
        r"is incompatible with the layer|has incompatible shape|Matrix size-incompatible|"
        r"Only input tensors may be passed as positional arguments",
        "the model was called with values of another shape than it was built for, or with plain lists.",
        f"{_LOAD}; it takes lists, and the error of a call names the axis or the missing batch dimension.",
    ),
    FailureMode(
        "variables-which-have-been-deleted",
        r"referencing variables which have been deleted|variables? (has|have) been (deleted|destroyed)",
        "a function was taken out of a loaded SavedModel, and the object that owns its variables is gone.",
        f"{_LOAD} keeps what it needs; or keep what tf.saved_model.load returned in a variable of its own.",
    ),
    FailureMode(
        "attempting-to-capture-an-eagertensor",
        r"Attempting to capture an EagerTensor without building a function",
        "a model that was loaded eagerly is called where a graph of TensorFlow 1 is built, and cannot enter it.",
        f"{_LOAD}, called outside of tf.Graph and sessions and without disable_eager_execution().",
    ),
    FailureMode(
        "could-not-find-matching-concrete-function",
        r"Could not find matching (concrete )?function to call|tf\.function failed due to `Can not cast|"
        r"Shape of input .{0,80}does not match expected shape",
        "the call differs from every trace that was saved: in dtype, shape, structure or number of arguments.",
        f"{_LOAD} casts what can be cast without loss and shows the difference otherwise.",
    ),
    FailureMode(
        "binding-inputs-to-tf-function-failed",
        r"Binding inputs to tf\.function failed|to be a Tensor; got|takes 1 positional arguments? but|"
        r"signature_wrapper\(.*\) (takes|missing)",
        "signatures take tensors by name only.",
        f"{_LOAD}; predict(x), or predict(name=x, other=y), with arrays, lists or tensors.",
    ),
    FailureMode(
        "expected-to-be-a-float-tensor",
        r"was expected to be an? \w+ tensor but is an? \w+ tensor|dtype of input \w+ does not match expected dtype",
        "a tensor of another dtype than the signature's was passed.",
        f"{_LOAD} casts arrays and says which dtype a tensor must have.",
    ),
    FailureMode(
        "serving-default-not-found",
        r"^(KeyError: )?'?serving_default'?$|[Uu]nknown signature|[Ss]ignature.{0,40}not found in signature|"
        r"expected 'serving_default' signature|is neither an attribute of the reloaded SavedModel",
        "the SavedModel has signatures under other keys.",
        f"{_LOAD} takes the only one; signature= chooses, and the error lists all with inputs and outputs.",
    ),
    FailureMode(
        "requires-a-tags-argument",
        r"requires a `?tags=?`? ?argument|incompatible argument to `?tags|"
        r"MetaGraphDef associated with tags|meta graph def matching supplied tags",
        "the SavedModel holds other tag sets than the loader assumes, or is an empty file.",
        f"{_LOAD} takes the MetaGraph for serving; tags= chooses.",
    ),
    FailureMode(
        "unable-to-create-a-keras-model-from-savedmodel",
        r"Unable to create a (TF-)?Keras model from|Unable to restore (a layer|custom object) of class|"
        r"because the call function was not serialized",
        "a Keras loader builds the classes of a SavedModel again, and one is missing or was not recorded.",
        f"{_LOAD} runs the functions that were saved, which need no class.",
    ),
    FailureMode(
        "unable-to-open-file-errno-2",
        r"unable to open file: name = .*errno = 2\b|No file or directory found at|File does not exist\. Received",
        "there is no such file: the path is relative to another directory, or Python reads '\\t' or '\\n' in it.",
        f"{_LOAD} says so and names the nearest that is there; write Windows paths as r'C:\\models\\model.h5'.",
    ),
    FailureMode(
        "savedmodel-file-does-not-exist",
        r"SavedModel file does not exist at|contains neither 'saved_model\.pb' nor|No versions of servable",
        "the path is not the directory that holds saved_model.pb: it is the .pb itself, a parent, or another format.",
        f"{_LOAD} takes the directory, the .pb, a parent with versions, and every other format.",
    ),
    FailureMode(
        "wire-format-was-corrupt",
        r"Wire format was corrupt|Error parsing message",
        "saved_model.pb is no protobuf: a git-LFS pointer, a web page, or cut off.",
        "`safeload show PATH` says which; download the file itself (git lfs pull).",
    ),
    FailureMode(
        "unsuccessful-tensorslicereader-constructor",
        r"Unsuccessful TensorSliceReader|Read less bytes than requested|\.data-\d+-of-\d+; No such file",
        "files below variables/ are missing or cut off.",
        f"{_LOAD} says which file, with its size and the size it must have; copy the whole directory.",
    ),
    FailureMode(
        "truncated-file",
        r"truncated file: eof",
        "the HDF5 file is cut off: the download or copy is incomplete.",
        "fetch it again; `safeload show PATH` gives the size it has.",
    ),
    FailureMode(
        "op-type-not-registered",
        r"Op type not registered '(\w+)'",
        "the graph uses an op of another package, or of a newer TensorFlow.",
        f"import the package that registers it first; {_LOAD} names the package.",
    ),
    FailureMode(
        "nodedef-mentions-attr",
        r"NodeDef mentions attr|XlaCallModuleOp with version|Cannot deserialize computation",
        "the graph was written by a newer TensorFlow or JAX, whose ops have attributes that are unknown here.",
        "install the TensorFlow that wrote it, or a newer one; `safeload show PATH` names it.",
    ),
    FailureMode(
        "table-not-initialized",
        r"Table not initialized",
        "a lookup table of the graph was not filled: the loader did not run its initializer, or none was saved.",
        f"{_LOAD} runs it; if none was saved, save again with main_op=tf.compat.v1.tables_initializer().",
    ),
    FailureMode(
        "str-object-has-no-attribute-decode",
        r"'str' object has no attribute 'decode'",
        "Keras before 2.4 reads attributes as bytes, and h5py 3 gives text.",
        f"{_LOAD} reads the file with current releases; an old one needs h5py<3.",
    ),
    FailureMode(
        "expected-variables-but-received-0",
        r"expected \d+ variables, but received|objects could not be loaded|Shape mismatch in layer|"
        r"(Weight|Layer) count mismatch|shape of the target variable and the shape of the target value",
        "weights and layers do not match: another release wrote the file, a layer builds its weights later, or the "
        "architecture is another.",
        f"{_LOAD} maps the weights of every release and lists what does not fit.",
    ),
    FailureMode(
        "optimizer-arguments-not-recognized",
        r"Argument\(s\) not recognized: \{'(lr|decay)|decay is deprecated in the new Keras optimizer|"
        r"has no attribute 'add_slot'|is not a valid argument, kwargs should be empty",
        "the optimizer that the file records is of another release; only training needs it.",
        f"{_LOAD} never compiles, so the optimizer does not matter.",
    ),
    FailureMode(
        "cannot-pickle-a-model",
        r"can't pickle repeated message|Can't (pickle|get) local object 'Loader\.|cannot pickle 'FuncGraph'|"
        r"_recreate_base_user_object",
        "a loaded SavedModel cannot be pickled.",
        f"{_LOAD} pickles by path and digest and loads again in the other process.",
    ),
)


def explain(error: BaseException | str) -> str:
    """Say what an exception of another loader means, and what to do.

    Args:
        error: An exception that TensorFlow, Keras or tf_keras raised on loading or calling a model, or its text. Its
            causes count too.

    Returns:
        The error, why, and what to do, in three lines. For an error that is not known, two lines that say so; an error
        of safeload explains itself.

    Raises:
        TypeError: *error* is neither.
    """
    if isinstance(error, str):
        error = Exception(error)
    if not isinstance(error, BaseException):
        raise TypeError(f"error must be an exception or its text, not of type {type(error).__name__}")
    mode = failure_mode(error)
    if mode is not None:
        return f"{_headline(error)}\n  why: {mode.cause}\n  do: {mode.remedy}"
    if type(error).__module__ == _OWN:
        return str(error)
    return f"{_headline(error)}\n  why: safeload does not know this error; try safeload.load_callable on the same path"


def failure_mode(error: BaseException) -> FailureMode | None:
    """Return what is known about *error*, or else about the nearest of its causes; None if nothing is."""
    matching = (
        mode for text in map(str, _with_causes(error)) for mode in FAILURE_MODES if re.search(mode.pattern, text)
    )
    return next(matching, None)


def _with_causes(error: BaseException | None) -> list[BaseException]:
    errors: list[BaseException] = []
    while error is not None and len(errors) < 20:
        errors.append(error)
        error = error.__cause__ or error.__context__
    return errors


def first_line(error: BaseException) -> str:
    """Return the line of an error's text that says what is wrong, without colours; its type if there is none."""
    is_quoted = isinstance(error, KeyError) and error.args  # Python shows the key in quotes, with its lines in one
    text = str(error.args[0] if is_quoted else error)
    text = _REST.split(_IN_USER_CODE.sub("", _INNER.split(_COLOUR.sub("", text))[-1]))[0]
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith(_OPENERS)), type(error).__name__)[:300]


def with_place(error: BaseException) -> str:
    """Say what is wrong: the first line, with the method of a class derived from Keras's that raised it, if one did."""
    for each in _with_causes(error):
        places = [_method(frame) for frame, _ in traceback.walk_tb(each.__traceback__)]
        place = next((place for place in reversed(places) if place), "")
        if place:
            return f"{place} raised {_typed(each)}"
    return first_line(error) if isinstance(error, (ValueError, TypeError)) else _typed(error)


def _typed(error: BaseException) -> str:
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


def _method(frame: FrameType) -> str:
    owner = frame.f_locals.get("self", frame.f_locals.get("cls"))
    kind = owner if isinstance(owner, type) else type(owner)
    of_keras = any(_root(base.__module__) in _LIBRARIES for base in kind.__mro__)
    if not of_keras or _root(frame.f_globals.get("__name__")) in _LIBRARIES:
        return ""
    return f"{kind.__name__}.{frame.f_code.co_name.removeprefix('tf__')}()"  # AutoGraph writes the method anew


def _root(module: object) -> str:
    return str(module).partition(".")[0]


def _headline(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:160]
