"""Every rule by name: how bad its findings are, whether they can be permitted, what they mean. Layer: policy; a table.

``docs/reference/findings.md`` is made of it, and tests hold it against what the rules find.
"""

from __future__ import annotations

from dataclasses import dataclass

from safeload.policy._finding import Severity

_INFO, _WARNING, _UNEXAMINED, _DANGEROUS = Severity
_UNREACHED = "A warning where nothing that can be called reaches it, as in what training left behind."


@dataclass(frozen=True)
class RuleInfo:
    """What is to be said about the findings of one rule.

    Attributes:
        severities: Those that its findings may have, the usual one first.
        meaning: What was found and why it matters, in Markdown.
        is_permittable: True if its findings have identifiers for ``trusted=[…]``.
    """

    severities: tuple[Severity, ...]
    meaning: str
    is_permittable: bool = False


RULE_BOOK: dict[str, dict[str, RuleInfo]] = {
    "The container": {
        "link-out-of-model": RuleInfo(
            (_DANGEROUS,),
            "A symbolic link in the directory leads to a file outside of the model. Copy the real files.",
        ),
        "asset-outside-assets": RuleInfo(
            (_DANGEROUS,),
            "A file that the graph declares as its asset lies outside of the model.",
        ),
        "special-file": RuleInfo(
            (_UNEXAMINED,),
            "The directory holds a device, a pipe or a socket.",
        ),
        "two-graphs": RuleInfo(
            (_UNEXAMINED,),
            "There is a second graph (`saved_model.pbtxt` beside `saved_model.pb`); readers differ in which "
            "one they load.",
        ),
        "broken-link": RuleInfo(
            (_WARNING,),
            "A symbolic link leads to nothing.",
        ),
        "circular-link": RuleInfo(
            (_WARNING,),
            "A symbolic link leads to a directory above it.",
        ),
        "empty-matrix": RuleInfo(
            (_UNEXAMINED,),
            "An array of two or more dimensions has no elements. TensorFlow may end the process where it multiplies by "
            "one, in layers without inputs or units.",
        ),
    },
    "Keras configs": {
        "lambda-bytecode": RuleInfo(
            (_DANGEROUS,),
            "Python bytecode (a `Lambda` layer, or hidden elsewhere) would run on this machine. It is never "
            "unmarshalled; the report says its size, the Python that wrote it, and words in it.",
            is_permittable=True,
        ),
        "pickled-object": RuleInfo(
            (_DANGEROUS,),
            "A text is a pickled Python object, as base64 or as it stands. Keras makes nothing of it; a class of "
            "another package, which you give, may unpickle it, and that runs what it names (`DistributionLambda` of "
            "TensorFlow Probability does). It is never unpickled to be judged; the report says words in it.",
            is_permittable=True,
        ),
        "lambda-function": RuleInfo(
            (_UNEXAMINED,),
            "A `Lambda` layer holds no named function.",
        ),
        "reference": RuleInfo(
            (_UNEXAMINED,),
            "A class or function is named by something that is no name.",
        ),
        "second-name": RuleInfo(
            (_UNEXAMINED,),
            "A class of Keras is registered under another name too; loaders differ in which one they take.",
        ),
        "dangerous-class": RuleInfo(
            (_DANGEROUS,),
            "A class of Keras that reaches outside of the model: `TFSMLayer` loads another SavedModel, "
            "`TorchModuleWrapper` unpickles …",
        ),
        "keras-gadget": RuleInfo(
            (_DANGEROUS,),
            "The config names something in Keras that is no building block of a model, such as `keras.utils.get_file`.",
        ),
        "host-function": RuleInfo(
            (_DANGEROUS,),
            "The config names a function of Python, of its standard library, or of an installed package, such "
            "as `os.system`.",
        ),
        "tensorflow-symbol": RuleInfo(
            (_DANGEROUS,),
            "A layer calls a function of TensorFlow that is not among the pure ones, such as `io.write_file`, or an op "
            "that it does not describe as Keras does. Of ops that it describes the graph's rules hold as well.",
        ),
        "path-name": RuleInfo(
            (_DANGEROUS,),
            "The name of a layer is a path; Keras makes directories of names.",
        ),
        "vocabulary-path": RuleInfo(
            (_DANGEROUS,),
            "A vocabulary, or weights of a feature column, are given as a path, which would be read on this machine.",
        ),
        "marker": RuleInfo(
            (_UNEXAMINED,),
            "An encoded value is of an unknown kind.",
        ),
        "type-spec": RuleInfo(
            (_UNEXAMINED,),
            "A type spec belongs to another package.",
        ),
        "array-dtype": RuleInfo(
            (_UNEXAMINED,),
            "An encoded array has a dtype that no model has.",
        ),
        "constant-node": RuleInfo(
            (_UNEXAMINED,),
            "A layer is called on constants, so it would run while the model is built.",
        ),
        "oversized-layer": RuleInfo(
            (_DANGEROUS,),
            "The layers declare far more weights than the file holds, one makes gigabytes of any input, or one is "
            "given numbers that TensorFlow does not count with.",
        ),
        "empty-transform": RuleInfo(
            (_UNEXAMINED,),
            "A Fourier transform has a length of zero, at which TensorFlow ends the process.",
        ),
        "unrolled-layer": RuleInfo(
            (_UNEXAMINED,),
            "A layer would be written out in so many steps, or models call models so often, that building it would not "
            "end.",
        ),
        "slow-pattern": RuleInfo(
            (_UNEXAMINED,),
            "A `DTypePolicyMap` names layers by a regular expression with more than one open part, which Keras may "
            "match for years.",
        ),
    },
    "Graphs": {
        "file-read": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"The graph reads files that are no assets of the model. {_UNREACHED}",
            is_permittable=True,
        ),
        "file-write": RuleInfo(
            (_DANGEROUS,),
            "The graph writes or deletes files outside of the saving functions.",
            is_permittable=True,
        ),
        "checkpoint-read": RuleInfo(
            (_DANGEROUS,),
            "The graph reads a checkpoint other than the model's own.",
            is_permittable=True,
        ),
        "network": RuleInfo(
            (_DANGEROUS,),
            "The graph talks to other processes or machines.",
            is_permittable=True,
        ),
        "python-callback": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"The graph calls a Python function of the process (`tf.py_function`). {_UNREACHED}",
            is_permittable=True,
        ),
        "native-code": RuleInfo(
            (_DANGEROUS, _UNEXAMINED),
            "The graph runs native code, or a StableHLO module that may.",
            is_permittable=True,
        ),
        "process-control": RuleInfo(
            (_DANGEROUS,),
            "The graph stops, delays or changes the whole process.",
            is_permittable=True,
        ),
        "process-handle": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"The graph finds an object of the process that may belong to another model. {_UNREACHED}",
            is_permittable=True,
        ),
        "shared-resource": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"The graph finds an object of the process by its name, which may belong to another model. {_UNREACHED}",
            is_permittable=True,
        ),
        "forged-handle": RuleInfo(
            (_DANGEROUS,),
            "A constant or a variable is a handle, or another object that a process makes and never saves, or an op "
            "takes two texts as a handle, or numbers as places in a batch, that no op of the graph gave it.",
            is_permittable=True,
        ),
        "uninitialised-memory": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"An op gives memory that was not cleared, which may hold secrets of the process. {_UNREACHED}",
            is_permittable=True,
        ),
        "in-place": RuleInfo(
            (_DANGEROUS, _WARNING),
            f"An op changes a tensor in place, which may be the caller's own. {_UNREACHED}",
            is_permittable=True,
        ),
        "debug-dump": RuleInfo(
            (_DANGEROUS,),
            "The graph sends tensors to a file or a server.",
            is_permittable=True,
        ),
        "hidden-graph": RuleInfo(
            (_UNEXAMINED,),
            "The graph runs another graph that is hidden in a string.",
            is_permittable=True,
        ),
        "accelerator-op": RuleInfo(
            (_UNEXAMINED,),
            "An op needs a TPU or a distributed runtime.",
            is_permittable=True,
        ),
        "internal-op": RuleInfo(
            (_UNEXAMINED,),
            "An op is internal to the runtime and does not belong in a file.",
            is_permittable=True,
        ),
        "test-op": RuleInfo(
            (_UNEXAMINED,),
            "An op exists for TensorFlow's own tests.",
            is_permittable=True,
        ),
        "unknown-op": RuleInfo(
            (_UNEXAMINED, _WARNING),
            "An op of another package that this process has imported; what it does is not known. A warning "
            "where the op is not registered: then it cannot run, and loading says so.",
            is_permittable=True,
        ),
        "absent-function": RuleInfo(
            (_UNEXAMINED,),
            "The graph calls a function that is not in the file; another model of the process may have it.",
            is_permittable=True,
        ),
        "open-attribute": RuleInfo(
            (_UNEXAMINED,),
            "A function leaves an attribute of an op to what calls it, so that what the op does is not known.",
            is_permittable=True,
        ),
        "internal-attribute": RuleInfo(
            (_UNEXAMINED,),
            "An op or a function has an attribute that the runtime of TensorFlow leaves for itself and trusts: one "
            "lets an op overwrite what the caller passed, others end the process.",
            is_permittable=True,
        ),
        "branch-results": RuleInfo(
            (_UNEXAMINED,),
            "A condition gives another number of results than one of its branches; TensorFlow ends the process over "
            "some.",
            is_permittable=True,
        ),
        "constant-type": RuleInfo(
            (_UNEXAMINED,),
            "A constant is declared with another type than its value has; TensorFlow ends the process over some.",
            is_permittable=True,
        ),
        "constant-shape": RuleInfo(
            (_UNEXAMINED,),
            "A constant has a shape that no tensor has, or another rank or length than the op that takes it can take; "
            "TensorFlow ends the process over some.",
            is_permittable=True,
        ),
        "asset-path": RuleInfo(
            (_DANGEROUS,),
            "The name of an asset leads out of the model's directory.",
        ),
        "repeated-name": RuleInfo(
            (_UNEXAMINED,),
            "Functions or nodes share a name; readers may differ about which is meant.",
        ),
        "impossible-window": RuleInfo(
            (_DANGEROUS,),
            "A convolution or the like has strides, sizes or dilations of zero or beyond 2²⁴, a transposed one strides "
            "beyond 2¹², a Fourier transform a length of zero, or a spectrum of sounds windows that no model has, at "
            "which TensorFlow ends the process or computes for minutes.",
            is_permittable=True,
        ),
        "allocation": RuleInfo(
            (_DANGEROUS, _UNEXAMINED),
            "What follows from constants alone needs more than 2 GiB of memory, whatever the input: shapes, products "
            "of small operands, compressed or serialized constants, elements, features and tables that are made of "
            "zeros, elements that datasets make room for; or all tensors of a TensorFlow Lite model that exist at one "
            "time more than 4 GiB. Not examined are sizes that constants decide in a way that is not understood.",
            is_permittable=True,
        ),
        "endless-loop": RuleInfo(
            (_DANGEROUS, _UNEXAMINED),
            "A loop whose condition no iteration can change, or that counts further than anybody waits; a dataset that "
            "is as long, or made of constants in a way that is not understood; a search for random numbers that are "
            "never drawn; a queue or the like that is taken from, and "
            "that no call fills; a wait of hours for other calls. Not examined are conditions of a million nodes, "
            "loops that count by constants in a way that is not understood, and what constants decide to look for in "
            "that way.",
            is_permittable=True,
        ),
        "recursion": RuleInfo(
            (_DANGEROUS,),
            "A function calls itself, directly or through others, or calls come to millions of nodes.",
            is_permittable=True,
        ),
        "stablehlo-module": RuleInfo(
            (_WARNING,),
            "The graph holds StableHLO modules, as models of JAX do. XLA compiles them, bounds neither their loops nor "
            "their sizes, and does not survive every broken one. Load those of strangers in a process of its own.",
        ),
        "tflite-kernels": RuleInfo(
            (_WARNING,),
            "A TensorFlow Lite model runs in kernels that trust numbers of the file which no check covers: one that "
            "was made for it can end the process, or worse. Load those of strangers in a process of its own.",
        ),
    },
}
"""Rules by what they are about, in reading order."""
