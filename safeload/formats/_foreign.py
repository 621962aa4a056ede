"""Files that are no callable here, and what to do with each: tables. Layer: formats; standard library alone."""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """What a file is when it is nothing that safeload loads.

    Attributes:
        name: Completes "… is …", with its article.
        remedy: What the reader can do now.
        is_data: True for what holds neither a model nor code that runs when somebody reads it.
    """

    name: str
    remedy: str
    is_data: bool = False


_NOT_A_MODEL = "this is not a model; pass the .keras or .h5 file, or the SavedModel directory"
_TORCH = "load it with PyTorch, or export it: torch.onnx.export, then onnx2tf writes a SavedModel"
_PICKLE = "a pickle runs code when it is read: have its author save the model with model.save('model.keras')"

PICKLE = Kind("a Python pickle", _PICKLE)
JOBLIB = Kind("a joblib dump (a Python pickle), such as scikit-learn and LightGBM models are saved in", _PICKLE)
TORCH = Kind("a PyTorch file (zip with a pickle)", _TORCH)
TORCHSCRIPT = Kind("a TorchScript archive", _TORCH)
LEGACY_TORCH = Kind("a PyTorch file of the format before 1.6 (a pickle)", _TORCH)
NPZ = Kind(
    "a NumPy .npz archive of arrays",
    "numpy.load(path) reads it; a model needs model.save('model.keras')",
    is_data=True,
)
PLAIN_ZIP = Kind(
    "a zip archive without a model in it",
    "check what was packed: a model is a .keras or .h5 file or a SavedModel directory",
    is_data=True,
)
OFFICE = Kind("an office document (zip)", _NOT_A_MODEL, is_data=True)
PACKAGE = Kind("a Python, Java or Android package (zip)", _NOT_A_MODEL)
LOOSE_SAVED_MODEL = Kind(
    "the graph of a SavedModel without its directory",
    "pass the path of the directory that holds saved_model.pb and variables/",
)
CHUNKED_SAVED_MODEL = Kind(
    "a SavedModel split into chunks (saved_model.cpb)",
    "save it again without experimental_image_format (tf.saved_model.SaveOptions)",
)
KERAS_METADATA = Kind("the Keras metadata of a SavedModel", LOOSE_SAVED_MODEL.remedy)
BUNDLE_DATA = Kind(
    "the data of a TensorFlow checkpoint without its index",
    "pass the prefix of the checkpoint, without .data-00000-of-00001, with the .index file beside it",
)
NAMELESS_CHECKPOINT = Kind(
    "a TensorFlow checkpoint whose files have no name before their suffix",
    "rename them, .index to model.index and the others likewise, and pass the prefix model",
)
"""What ``Saver.save(session, "directory/")`` writes."""
V1_CHECKPOINT = Kind(
    "a TensorFlow checkpoint of the format before 0.12 (V1), or another table file",
    "restore it in TensorFlow with tf.compat.v1.train.Saver and save it again; its default format has been V2 since",
)
KERAS_YAML = Kind(
    "a Keras architecture in YAML",
    "YAML is never parsed, for it can run code; write JSON with the Keras that made it: model.to_json()",
)
TFJS = Kind(
    "a TensorFlow.js model (model.json)",
    "convert it: tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras model.json model.h5",
)
SHARDED_WEIGHTS = Kind(
    "a set of sharded Keras weights (model.weights.json)",
    "load_weights() of the Keras that wrote it reads them; then save one file with model.save('model.keras')",
)
NPZ_WEIGHTS = Kind(
    "a Keras archive whose weights are a NumPy file",
    "save it again: model.save('model.keras') writes its weights as HDF5",
)
TRANSFORMERS = Kind(
    "a Hugging Face transformers model",
    "load it with transformers; model.save_pretrained(path, saved_model=True) of a TF model writes a SavedModel",
)
ONNX = Kind("an ONNX model", "run it with onnxruntime, or convert it with onnx2tf, which writes a SavedModel")
COREML = Kind("a Core ML model", "Core ML models run on Apple systems alone; keep the model that it was made from")
JSON_DATA = Kind("a JSON file, not a Keras architecture", _NOT_A_MODEL, is_data=True)
LFS_POINTER = Kind(
    "a git-LFS pointer, not the file itself",
    "fetch the content: `git lfs install && git lfs pull`, or download it by the site's download link",
)
HTML = Kind(
    "an HTML or XML page, not a model",
    "the download link returned a web page; open it in a browser and download the raw file",
    is_data=True,
)
TEXT = Kind("a text file", _NOT_A_MODEL, is_data=True)
SOURCE_CODE = Kind("a script, not a model", _NOT_A_MODEL, is_data=True)

MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    # github.com/onnx: no magic, see _wire. safetensors: no magic, see below.
    # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    (0, b"GGUF", Kind("a GGUF model", "load it with llama.cpp or ollama; it holds no TensorFlow graph")),
    # numpy/lib/format.py, "Format Version 1.0"
    (
        0,
        b"\x93NUMPY",
        Kind(
            "a NumPy array (.npy)", "numpy.load(path) reads it; a model needs model.save('model.keras')", is_data=True
        ),
    ),
    # joblib/numpy_pickle_utils.py: _ZFILE_PREFIX
    (0, b"ZF", JOBLIB),
    # torch/serialization.py: MAGIC_NUMBER 0x1950a86a20f9469cfc6c as the first pickle
    (0, b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", LEGACY_TORCH),
    # https://en.wikipedia.org/wiki/List_of_file_signatures (2026-11) for the rest
    (0, b"%PDF", Kind("a PDF document", _NOT_A_MODEL, is_data=True)),
    (0, b"\x89PNG\r\n", Kind("a PNG image", _NOT_A_MODEL, is_data=True)),
    (0, b"\xff\xd8\xff", Kind("a JPEG image", _NOT_A_MODEL, is_data=True)),
    (0, b"GIF8", Kind("a GIF image", _NOT_A_MODEL, is_data=True)),
    (0, b"\x7fELF", Kind("a program or library (ELF)", _NOT_A_MODEL, is_data=True)),
    (0, b"MZ", Kind("a Windows program or library", _NOT_A_MODEL, is_data=True)),
    (0, b"SQLite format 3\0", Kind("an SQLite database", _NOT_A_MODEL, is_data=True)),
    (0, b"PAR1", Kind("a Parquet table", _NOT_A_MODEL, is_data=True)),
    (0, b"CDF\x01", Kind("a NetCDF file", _NOT_A_MODEL, is_data=True)),
    (0, b"CDF\x02", Kind("a NetCDF file", _NOT_A_MODEL, is_data=True)),
    (
        0,
        b"MATLAB 5.0 MAT-file",
        Kind("a MATLAB file", "scipy.io.loadmat reads it; it is not a Keras model", is_data=True),
    ),
    (0, b"\x0e\x03\x13\x01", Kind("an HDF4 file", "Keras models are HDF5; check the source of the file", is_data=True)),
    (0, b"Rar!", Kind("a RAR archive", "unpack it and pass the model inside")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", "unpack it and pass the model inside")),
    (0, b"\x28\xb5\x2f\xfd", Kind("a Zstandard-compressed file", "decompress it (unzstd) and pass the result")),
    (0, b"\x04\x22\x4d\x18", Kind("an LZ4-compressed file", "decompress it (unlz4) and pass the result")),
    (0, b"#!", SOURCE_CODE),
    # apple/coremltools, libmodelpackage: a directory; tensorrt and paddle name themselves
    (
        0,
        b"ftrt",
        Kind("a TensorRT engine", "engines run with TensorRT alone; keep the SavedModel that it was made from"),
    ),
    (4, b"ETDT", Kind("an ExecuTorch program", _TORCH)),
    (4, b"ET12", Kind("an ExecuTorch program", _TORCH)),
    # ncnn/src/net.cpp, text param files begin with this number
    (0, b"7767517\n", Kind("an ncnn network", "it holds no TensorFlow graph; keep the model that it was made from")),
)

HDF5_MARKS: tuple[tuple[str, Kind], ...] = (
    ("_NCProperties", Kind("a NetCDF-4 file (HDF5)", _NOT_A_MODEL)),
    (
        "PYTABLES_FORMAT_VERSION",
        Kind("a PyTables or pandas file (HDF5)", "pandas.read_hdf(path) reads it; it is not a Keras model"),
    ),
    ("encoding-type", Kind("an AnnData file (HDF5)", "anndata.read_h5ad(path) reads it; it is not a Keras model")),
)
"""Root attributes of HDF5 files of other programs: netCDF-4 (NC_NCPROPS), PyTables (file.py), anndata."""

OTHER_HDF5 = Kind(
    "an HDF5 file without a Keras model or weights",
    "models have the attribute model_config, weights layer_names or vars groups; save with model.save('model.keras')",
    is_data=True,
)

_TEXT_KINDS: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    # https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    (re.compile(rb"version https://git-lfs\.github\.com/spec/"), LFS_POINTER),
    (re.compile(rb"\s*(?:\xef\xbb\xbf)?<(?:!doctype|html|head|body|\?xml|!--|error|svg)", re.IGNORECASE), HTML),
    # keras/engine/network.py (2.3): to_yaml writes backend, class_name, config, keras_version in this order
    (re.compile(rb"(?:backend: \S+\s+)?(?:!!python/\S+\s+)?class_name: \S+\s"), KERAS_YAML),
)

_PICKLE_START = re.compile(
    rb"\x80[\x02-\x05]"  # PROTO 2 to 5
    rb"|[cC(]\w[\w.]*\n[\w.]+\n"  # GLOBAL
    rb"|\(dp\d*\n|\(lp\d*\n|\(i[\w.]+\n|ccopy_reg\n|[\]})][q(]"
)
"""Source: Lib/pickletools.py (Python 3.11): how streams of protocol 0 to 5 begin."""


def kind_by_magic(head: bytes) -> Kind | None:
    """Return what the first bytes of a file say it is, or None."""
    for offset, magic, kind in MAGIC:
        if head.startswith(magic, offset):
            return kind
    if _is_safetensors(head):
        return Kind(
            "a safetensors file of arrays",
            "it holds weights and no graph; load it with the library that defines the model, such as transformers",
            is_data=True,
        )
    if _PICKLE_START.match(head):
        return JOBLIB if b"joblib" in head or b"sklearn" in head or b"lightgbm" in head else PICKLE
    return None


def _is_safetensors(head: bytes) -> bool:
    # https://github.com/huggingface/safetensors#format: u64 length of a JSON header of at most 100 MB, then "{"
    return head[8:10] == b'{"' and 2 < int.from_bytes(head[:8], "little") < 100_000_000


def kind_of_text(head: bytes) -> Kind | None:
    """Return what kind of text a file holds, or None if its beginning is not text."""
    for pattern, kind in _TEXT_KINDS:
        if pattern.match(head):
            return kind
    return TEXT if is_text(head) else None


def is_text(head: bytes) -> bool:
    """Return True if *head* is UTF-8 text without control characters; a character cut at the end counts as text."""
    try:
        text = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text.strip()) and not any(ord(c) < 32 and c not in "\t\n\r\f" for c in text)
