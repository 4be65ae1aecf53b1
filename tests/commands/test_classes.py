"""Classes are drawn from the command line, where a class is the condition."""

import json

import generate
import numpy as np
import pytest
from small_generators import small_generator
from small_models import small_model
from trained import png

import keras_bidalle
from keras_bidalle import cli
from keras_bidalle.captions import ClassNames

pytestmark = pytest.mark.any_backend
OF_CLASSES = {
    **{"text_length": 1, "text_vocabulary_size": 3, "pad_id": None},
    **{"pad_tokens": False, "mask_padding": False},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder as a run leaves it, and its two models."""
    folder = tmp_path_factory.mktemp("runs") / "of-classes"
    tokenizer = small_model("plain").image_tokenizer
    shapes = {"num_codes": 12, "code_shape": tokenizer.code_shape}
    generator = small_generator(**OF_CLASSES, **shapes)
    tokenizer.save_to_preset(folder / "tokenizer")
    generator.save_to_preset(folder / "model")
    (folder / "classes.json").write_text(json.dumps(["cats", "dogs"]))
    return folder, tokenizer, generator


def test_names_of_classes_are_drawn_and_unknown_ones_told(
    run, tmp_path, capsys
):
    folder, tokenizer, generator = run
    line = [str(folder), "--output", str(tmp_path), "--seed", "4"]
    names = ["cats", "co\u1e85", "dogs"]
    assert generate.main([*line, "--classes", *names, "--samples", "2"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Error: 'co\u1e85' must be one of 2 classes, such as ['cats', 'dogs']. "
        "Received: 'co\u1e85'"
    ]
    codes = generator.generate_codes([[0], [1]], seed=[4, 6], num_samples=2)
    pictures = np.rint((np.asarray(tokenizer.decode(codes)) + 1) * 127.5)
    files = [f"{n:03d}-{s}.png" for n in (0, 2) for s in (0, 1)]
    for file, picture in zip(files, pictures, strict=True):
        found = png(tmp_path / file).astype("float32")
        np.testing.assert_allclose(found, picture, atol=1)
    assert not list(tmp_path.glob("001-*"))
    line = ["draw", "dogs", "--model", str(folder / "model")]
    assert cli.main([*line, "--output", str(tmp_path / "drawn")]) == 0
    # A class is a condition, which no picture is read as.
    assert cli.main(["read", str(tmp_path / files[0]), *line[2:]]) == 1
    assert "needs a generator of captions" in capsys.readouterr().err


def test_classes_without_names_have_numbers(run, tmp_path, capsys):
    _, tokenizer, generator = run
    generator.save_to_preset(tmp_path / "converted")
    line = [str(tmp_path / "converted"), "--output", str(tmp_path / "out")]
    assert generate.main([*line, "--captions", "2"]) == 1
    assert "without its image tokenizer" in capsys.readouterr().err
    tokenizer.save_to_preset(tmp_path / "converted" / "tokenizer")
    assert generate.main([*line, "--captions", "2"]) == 0
    assert (tmp_path / "out" / "000-0.png").is_file()
    assert generate.main([*line, "--captions", "3"]) == 1
    told = capsys.readouterr().err
    assert "the number of a class, from 0 to 2. Received: '3'" in told


def test_a_whole_model_of_classes_is_saved_and_is_not_served(run, tmp_path):
    _, tokenizer, generator = run
    classes = ClassNames(["cats", "dogs"], 3)
    model = keras_bidalle.TextImageModel(tokenizer, classes, generator)
    pictures = model.text_to_image(["dogs", "cats"], seed=3)
    assert pictures.shape == (2, 16, 16, 3)
    model.save_to_preset(tmp_path / "whole")
    loaded = keras_bidalle.load(tmp_path / "whole")
    np.testing.assert_array_equal(
        loaded.text_to_image(["dogs", "cats"], seed=3), pictures
    )
    for call in (
        lambda: model.image_to_text(pictures),
        lambda: model.export_serving(tmp_path / "served"),
        lambda: model.text_to_image("cats", best_of=2),
    ):
        with pytest.raises(ValueError, match="needs a generator of captions"):
            call()
    with pytest.raises(ValueError, match="must be one of 2 classes"):
        model.text_to_image(["mice"])
