"""Vocabularies in Keras archives: every word has the number that it had when the model was saved."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from releases import what_this_keras_can

from safeload import load_callable
from safeload.errors import LoadFailedError

layers = keras.layers


def _saved(layer: Any, path: Path) -> Any:
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, layer(inputs))
    model.save(path)
    return model


def _edited(path: Path, **contents: bytes | str) -> Path:
    """Copy an archive with other contents of the files that end in a name."""
    new = path.with_name("new.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            found = [value for end, value in contents.items() if name.endswith(f"{end}/vocabulary.txt")]
            archive.writestr(name, found[0] if found else old.read(name))
    return new


def _numbers(path: Path, words: list[str]) -> list[int]:
    return np.asarray(load_callable(path)(np.array([[word] for word in words]))).ravel().tolist()


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_words_end_at_line_feeds_alone(tmp_path: Path, mode: str) -> None:
    """What Python or Unicode take for the end of a line may stand in a word, and numbers none of the others anew."""
    words = ["a\u2028b", "c", "d\x85e", "f\x1cg", "h\ri", "\x0bj", "k\x0c", "l"]
    layer = layers.StringLookup(output_mode=mode)
    layer.adapt(np.array([[word] for word in [*words, "c", "c"]]))
    model = _saved(layer, tmp_path / "m.keras")
    data = np.array([[word] for word in [*words, "a", "b"]])
    np.testing.assert_array_equal(np.asarray(load_callable(tmp_path / "m.keras")(data)), np.asarray(model(data)))


def test_the_last_word_may_be_empty(tmp_path: Path) -> None:
    """Without a token for masks the empty text is a word like others."""
    layer = layers.StringLookup(mask_token=None)
    layer.adapt(np.array(["a", "a", "b", "b", ""]))
    model = _saved(layer, tmp_path / "m.keras")
    data = np.array([["a"], [""], ["b"], ["c"]])
    np.testing.assert_array_equal(np.asarray(load_callable(tmp_path / "m.keras")(data)), np.asarray(model(data)))


@pytest.mark.parametrize("content", ["[UNK]\r\nb\r\na", "[UNK]\nb\na"])
def test_vocabularies_of_windows(tmp_path: Path, content: str) -> None:
    """Windows writes two characters at the end of each line; neither belongs to a word."""
    layer = layers.StringLookup()
    layer.adapt(np.array(["x", "y"]))
    _saved(layer, tmp_path / "m.keras")
    assert _numbers(_edited(tmp_path / "m.keras", string_lookup=content), ["a", "b", "b\r", "?"]) == [2, 1, 0, 0]


def test_numbers_in_lines(tmp_path: Path) -> None:
    """A vocabulary of integers is read as such; an empty line at its end is none."""
    layer = layers.IntegerLookup()
    layer.adapt(np.array([7, 7, 5]))
    inputs = keras.Input((1,), dtype="int64")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "m.keras")
    path = _edited(tmp_path / "m.keras", integer_lookup="-1\n7\n5\n")
    assert np.asarray(load_callable(path)(np.array([[5], [7], [6]]))).ravel().tolist() == [2, 1, 0]


def test_one_long_word_costs_its_length(tmp_path: Path) -> None:
    """Keras gives every word the room of the longest, here 400 GB."""
    words = [*map(str, range(100_000)), "y" * 1_000_000]
    layer = layers.StringLookup()
    layer.adapt(np.array(words[:-1]))
    _saved(layer, tmp_path / "m.keras")
    content = "\n".join(["[UNK]", *words[1:]])
    assert _numbers(_edited(tmp_path / "m.keras", string_lookup=content), ["1", "99999"]) == [1, 99_999]


@pytest.mark.parametrize("content", ["", "\n", b"[UNK]\n\xff", "[UNK]\na\na"])
def test_broken_vocabularies_are_explained(tmp_path: Path, content: bytes | str) -> None:
    """Nothing, what is no UTF-8 and words that stand twice are errors of the file."""
    layer = layers.StringLookup()
    layer.adapt(np.array(["x"]))
    _saved(layer, tmp_path / "m.keras")
    with pytest.raises(LoadFailedError):
        load_callable(_edited(tmp_path / "m.keras", string_lookup=content))


def test_two_vocabularies_of_one_layer(tmp_path: Path) -> None:
    """TextVectorization saves its words twice: where they differ, nobody knows which are meant."""
    layer = layers.TextVectorization(output_sequence_length=2)
    layer.adapt(np.array(["a b"]))
    with what_this_keras_can():
        _saved(layer, tmp_path / "m.keras")
    assert len(_numbers(tmp_path / "m.keras", ["a"])) == 2
    with pytest.raises(LoadFailedError, match="twice, and the two differ"):
        load_callable(_edited(tmp_path / "m.keras", _lookup_layer="\n[UNK]\nx\ny"))


def test_words_with_line_feeds(tmp_path: Path) -> None:
    """They become several words when they are read: where the config tells how many there were, that is noticed."""
    layer = layers.TextVectorization(split=None, standardize=None)
    layer.adapt(np.array(["a\nb", "c"]))
    _saved(layer, tmp_path / "m.keras")
    with pytest.raises(LoadFailedError, match="has 5 words, and its config says 4"):
        load_callable(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["assets/notes.txt", "assets/layers/none/words.txt"])
def test_files_that_no_layer_takes_are_named(tmp_path: Path, name: str) -> None:
    """A layer that is not there may have computed with them; who added them by hand is told which they are."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(LoadFailedError, match=f"no layer takes the file '{name}' of the archive"):
        load_callable(tmp_path / "m.keras")


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_words_of_another_encoding(package: Any, tmp_path: Path) -> None:
    """Keras decodes the words that it looked up by the encoding of the layer; its own loader no longer finds them."""
    texts = ["wörds und ünd", "wörds"]
    layer = package.layers.TextVectorization(encoding="latin-1", output_sequence_length=3)
    layer.adapt(texts)
    package.Sequential([package.Input((1,), dtype="string"), layer]).save(tmp_path / "m.keras")
    expected = np.asarray(layer(tf.constant(texts))).tolist()
    assert len({*expected[0]}) == 3
    assert np.asarray(load_callable(tmp_path / "m.keras")([[text] for text in texts])).tolist() == expected


@pytest.mark.parametrize("encoding", ["ascii", "none-such"])
def test_words_that_an_encoding_has_not(encoding: str, tmp_path: Path) -> None:
    """They were put there by somebody else."""
    layer = layers.StringLookup()
    layer.adapt(np.array(["x"]))
    layer.encoding = encoding
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tf.compat, "as_text", lambda text, _: text.decode())
        _saved(layer, tmp_path / "m.keras")
    with pytest.raises(LoadFailedError, match=f"has words that its encoding '{encoding}' has not"):
        load_callable(_edited(tmp_path / "m.keras", string_lookup="[UNK]\nö"))
