"""Saved samples and those of classes, compared with data as a set."""

import json

import evaluate
import keras
import numpy as np
import pytest
from PIL import Image
from small_generators import small_generator
from small_models import small_model

from keras_bidalle import data
from keras_bidalle.evaluation import samples
from keras_bidalle.evaluation.opening import open_extractor


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A run that learned to draw two classes."""
    folder = tmp_path_factory.mktemp("classes")
    tokenizer = small_model("plain").image_tokenizer
    tokenizer.save_to_preset(folder / "tokenizer")
    small_generator(
        text_vocabulary_size=2,
        text_length=1,
        num_codes=tokenizer.num_codes,
        code_shape=tokenizer.code_shape,
        pad_id=None,
        pad_tokens=False,
        mask_padding=False,
    ).save_to_preset(folder / "model")
    (folder / "classes.json").write_text(json.dumps(["cats", "dogs"]))
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    source = data.FakeImages(5, size=20)
    for i in range(5):
        Image.fromarray(source.read(i).image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Logits of two classes: how dark, and how bright, an image is."""
    image = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    total = keras.ops.mean(mean, axis=-1, keepdims=True)
    logits = keras.ops.concatenate([-total, total], axis=-1)
    path = tmp_path_factory.mktemp("classifier") / "bright.keras"
    keras.Model(image, logits).save(path)
    return path


def run(output, model, *more):
    line = [model, "--output", output, "--name", "run", "--replicates", "2"]
    status = evaluate.main([*map(str, line), *map(str, more)])
    if status:
        return None
    return json.loads((output / "run" / "evaluation.json").read_text())


@pytest.mark.any_backend
def test_an_npz_is_read_where_it_lies_or_unpacked(tmp_path):
    images = data.FakeImages(6, size=8)
    images = np.stack([images.read(i).image for i in range(6)])
    np.savez(tmp_path / "a.npz", images)
    np.savez_compressed(tmp_path / "b.npz", images)
    np.savez(tmp_path / "c.npz", np.asfortranarray(images))
    for name in "abc":
        found = samples.SavedImages(tmp_path / f"{name}.npz")
        rows = [found.read(i).image for i in range(len(found))]
        np.testing.assert_array_equal(rows, images)
        # Only what is stored as it is can stay on disk.
        assert isinstance(found._images, np.memmap) == (name != "b")


@pytest.mark.any_backend
def test_a_folder_is_ordered_by_numbers(tmp_path):
    for i in (10, 2, 1):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / f"{i}.png")
    found = samples.SavedImages(tmp_path)
    values = [
        data.open_image(found.read(i).image).getpixel((0, 0))[0]
        for i in range(3)
    ]
    assert values == [1, 2, 10]


def test_saved_samples_have_the_figures_they_had_when_drawn(
    classes, pictures, classifier, tmp_path
):
    saved = tmp_path / "samples.npz"
    more = ("--images", pictures, "--extractors", f"classifier:{classifier}")
    drawn = run(
        *(tmp_path / "drawn", classes / "model", *more),
        *("--samples", 6, "--save-samples", saved),
        *("--save-reference", tmp_path / "reference.npz"),
    )
    again = run(tmp_path / "again", saved, "--saved", *more)
    drawn = drawn["figures"]["class_to_image"]
    again = again["figures"]["saved_samples"]
    assert {"frechet_bright", "kernel_bright", "inception_score_bright"} <= (
        set(drawn)
    )
    assert drawn == again
    assert drawn["frechet_bright"]["count"] == 6
    assert drawn["frechet_bright"]["reference_count"] == 5
    # Stored statistics alone: what needs the pictures is left out.
    alone = run(
        *(tmp_path / "alone", saved, "--saved", *more[2:]),
        *("--reference", tmp_path / "reference.npz"),
    )["figures"]["saved_samples"]
    assert set(alone) == {"frechet_bright", "inception_score_bright"}
    np.testing.assert_allclose(
        alone["frechet_bright"]["value"],
        drawn["frechet_bright"]["value"],
        rtol=1e-4,
    )


class Painter:
    """Images of one brightness, which is drawn by the seed."""

    classes = ("dark", "bright")

    def text_to_image(self, names, seed, num_samples, batch_size):
        rows = [
            np.random.default_rng(s).integers(256, size=num_samples)
            for s in seed
        ]
        shape = (len(names), num_samples, 4, 4, 3)
        images = np.asarray(rows, "uint8")[:, :, None, None, None]
        images = np.broadcast_to(images, shape)
        return images if num_samples > 1 else images[:, 0]


def brightness(images):
    shares = images[:, 0, 0, 0] / 255.0
    return np.stack([1.0 - shares, shares], axis=1)


@pytest.mark.any_backend
def test_rejection_keeps_the_surest_of_all_candidates_of_a_class():
    kept = samples.ClassSamples(
        *(Painter(), 8), best_of=5, probabilities=brightness
    ).read(range(8))
    all_of_them = samples.ClassSamples(Painter(), 8)
    assert [lines for lines in kept.captions] == 4 * [["dark"]] + 4 * [
        ["bright"]
    ]
    candidates = Painter().text_to_image("x" * 8, range(8), 5, 1)[..., 0, 0, 0]
    dark = np.sort(candidates[:4].ravel())[:4]
    bright = np.sort(candidates[4:].ravel())[::-1][:4]
    values = kept.images[:, 0, 0, 0]
    np.testing.assert_array_equal(values, [*dark, *bright])
    one = all_of_them.read([2, 6])
    assert one.images.shape == (2, 4, 4, 3)


def test_rejection_by_a_classifier_of_the_command_line(
    classes, pictures, classifier, tmp_path
):
    more = ("--images", pictures, "--extractors", f"classifier:{classifier}")
    shares = []
    for best_of in ([], ["--best-of", 8, "--rank-by", "classifier"]):
        saved = tmp_path / f"{len(best_of)}.npz"
        run(
            *(tmp_path / str(len(best_of)), classes / "model", *more),
            *("--samples", 8, "--save-samples", saved, *best_of),
        )
        with np.load(saved) as arrays:
            dark, bright = np.split(arrays["arr_0"].astype(float), 2)
        shares.append(bright.mean() - dark.mean())
    assert shares[1] > shares[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--samples", "5"], "multiple of the 2 classes"),
        (["--best-of", "2"], "classifier of as many"),
        (["--directions", "reconstruction"], "must be class_to_image"),
        (["--classes", "none.json"], "list of their names"),
        (["--best-of", "2", "--rank-by", "clip"], "needs --best-of and a"),
    ],
)
def test_what_classes_cannot_have_is_told(
    classes, pictures, tmp_path, capsys, more, message
):
    given = ("--images", pictures, "--extractors", "tokenizer", *more)
    assert run(tmp_path, classes / "model", *given) is None
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There are no samples"),
        (b"PK no more", "must be an npz"),
        (np.zeros((2, 4, 4, 3), "float32"), "uint8"),
        (np.zeros((0, 4, 4, 3), "uint8"), "uint8"),
        (np.asarray([{}], object), "must be an npz"),
    ],
)
def test_samples_that_cannot_be_read_are_told(
    pictures, tmp_path, capsys, content, message
):
    path = tmp_path / "samples.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, content)
    given = ("--saved", "--images", pictures, "--extractors")
    assert run(tmp_path, path, *given) is None
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told


def test_samples_without_data_need_statistics(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", np.zeros((2, 4, 4, 3), "uint8"))
    assert run(tmp_path, tmp_path / "a.npz", "--saved") is None
    assert "There is no data" in capsys.readouterr().err


def test_any_tokenizer_and_any_classifier_are_extractors(classes, classifier):
    images = np.zeros((2, 20, 20, 3), "uint8")
    other = open_extractor(f"tokenizer:{classes / 'tokenizer'}")
    own = open_extractor(
        "tokenizer", tokenizer=small_model("plain").image_tokenizer
    )
    assert other.frechet_name == "frechet_tokenizer_encoder"
    np.testing.assert_array_equal(other(images).features, own(images).features)
    bright = open_extractor(f"classifier:{classifier}")
    np.testing.assert_allclose(
        bright(images).probabilities[0], 1 / (1 + np.exp([-2.0, 2.0]))
    )
    with pytest.raises(FileNotFoundError, match=r"none\.keras"):
        open_extractor("classifier:none.keras")
    with pytest.raises(ValueError, match="tokenizer:PRESET"):
        open_extractor("tokenizer")
    with pytest.raises(ValueError, match="must be of"):
        open_extractor("classifier")
