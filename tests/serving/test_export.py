"""Exported folders answer as the models that they were made of."""

import contextlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from image_files import files, pixels
from small_models import CAPTIONS, small_model

from keras_bidalle.data import CenterCrop, open_image
from keras_bidalle.sampling.settings import SEED, SETTINGS
from keras_bidalle.serving import check
from keras_bidalle.serving.export import version_folder

tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="SavedModels are traced by TensorFlow; other backends run it",
)
INPUT_SETTINGS = {"seed": SEED, **SETTINGS}
KINDS = ("plain", "patch", "stacks")


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model, its folder, and the folder's signatures."""
    import tensorflow as tf

    model = small_model(request.param)
    path = tmp_path_factory.mktemp(request.param) / "small"
    folder = model.export_serving(path)
    assert folder == path / "1"
    loaded = tf.saved_model.load(str(folder))

    def call(signature, **inputs):
        outputs = loaded.signatures[signature](
            **{name: tf.constant(value) for name, value in inputs.items()}
        )
        return {name: value.numpy() for name, value in outputs.items()}

    return model, folder, call


@contextlib.contextmanager
def not_compiled():
    """Runs the model step by step: its programs take longer to compile."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def settings(rows, **changed):
    """Settings of a request: those that keep everything, or others."""
    values = {
        name: setting.examples[0]
        for name, setting in INPUT_SETTINGS.items()
        if setting.needs is None
    }
    return {
        name: np.broadcast_to(
            np.asarray(value, INPUT_SETTINGS[name].dtype), (rows,)
        )
        for name, value in {**values, **changed}.items()
    }


def opened(model, contents):
    crop = CenterCrop(model.image_tokenizer.image_shape[:2])
    return np.stack([crop(open_image(file)) for file in contents])


@tensorflow_only
def test_pictures_are_those_of_the_model(exported):
    model, _, call = exported
    seeds = [0, 1, 123456, 7]
    # Rows that take the likeliest, and rows that drop nothing, among others.
    mixed = {
        "temperature": [0.0, 0.5, 1.0, 2.0],
        "top_k": [12, 3, 12, 5],
        "top_p": [1.0, 0.9, 1.0, 0.8],
    }
    compiled = model.generator.condition_dropout
    for choice, how in (
        # As users run it, for one kind.
        (mixed, contextlib.nullcontext if compiled else not_compiled),
        ({}, not_compiled),
    ):
        with how():
            expected = model.text_to_image(CAPTIONS * 2, seed=seeds, **choice)
        found = call(
            "text_to_image",
            prompt=CAPTIONS * 2,
            **settings(4, seed=seeds, **choice),
        )
        drawn = pixels(found["image_bytes"])
        # Rounding to uint8 may fall either way.
        assert np.abs(drawn.astype(int) - expected).max() <= 1
        decoded = model.image_tokenizer.decode(found["codes"])
        assert np.abs((decoded + 1) * 127.5 - drawn).max() <= 1


@tensorflow_only
def test_captions_and_codes_are_those_of_the_model(exported):
    model, _, call = exported
    for kind in ("PNG", "JPEG"):
        contents = files(3, kind)
        images = opened(model, contents)
        codes = model.image_tokenizer.encode(images)
        found = call("encode_image", image_bytes=contents)["codes"]
        np.testing.assert_array_equal(found, codes)
        back = call("decode_codes", codes=found)["image_bytes"]
        expected = model.image_tokenizer.decode(codes)
        assert np.abs((expected + 1) * 127.5 - pixels(back)).max() <= 1
        choice = {"seed": [3, 4, 5], "temperature": [0.0, 1.0, 1.0]}
        with not_compiled():
            texts = model.image_to_text(images, **choice)
        found = call(
            "image_to_text", image_bytes=contents, **settings(3, **choice)
        )
        assert [text.decode() for text in found["text"]] == texts


@tensorflow_only
def test_guidance_is_a_signature_of_models_trained_for_it(exported):
    model, _, call = exported
    if not model.generator.condition_dropout:
        with pytest.raises(KeyError):
            call("text_to_image_guided", prompt=CAPTIONS, **settings(2))
        return
    guided = {"guidance_scale": [0.5, 3.0]}
    with not_compiled():
        expected = model.text_to_image(CAPTIONS, seed=[1, 2], **guided)
    found = call(
        "text_to_image_guided",
        prompt=CAPTIONS,
        **settings(2, seed=[1, 2], **guided),
    )
    difference = pixels(found["image_bytes"]).astype(int) - expected
    assert np.abs(difference).max() <= 1
    images = opened(model, files(2))
    found = call(
        "image_to_text_guided",
        image_bytes=files(2),
        **settings(2, seed=[1, 2], **guided),
    )
    with not_compiled():
        texts = model.image_to_text(
            images, seed=[1, 2], temperature=1.0, **guided
        )
    assert [text.decode() for text in found["text"]] == texts


@tensorflow_only
def test_64_mixed_requests_are_answered_in_a_batch_as_one_by_one(exported):
    model, _, call = exported
    if not model.generator.condition_dropout:
        pytest.skip("one kind is enough")
    rng = np.random.default_rng(2)
    chosen = {
        name: rng.choice(INPUT_SETTINGS[name].examples, 64)
        for name in settings(64)
    }
    chosen |= {
        "seed": rng.integers(0, 2**31 - 1, 64),
        "temperature": rng.choice([0.0, 0.5, 1.0, 1.5], 64),
        "top_k": rng.choice([0, 1, 3, 9], 64),
        "top_p": rng.choice([0.2, 0.8, 1.0], 64),
    }
    mixed = settings(64, **chosen)
    conditions = {
        "text_to_image": {"prompt": CAPTIONS * 32},
        "image_to_text": {"image_bytes": files(8) * 8},
    }
    for signature, condition in conditions.items():
        batch = call(signature, **condition, **mixed)
        for i in range(64):
            row = {k: v[i : i + 1] for k, v in {**condition, **mixed}.items()}
            alone = call(signature, **row)
            for name in alone:
                if name != "image_bytes":
                    np.testing.assert_array_equal(
                        alone[name][0], batch[name][i]
                    )
                    continue
                ours, theirs = pixels([alone[name][0], batch[name][i]])
                assert np.abs(ours.astype(int) - theirs).max() <= 1


@tensorflow_only
def test_a_wrong_request_is_an_error_and_the_next_is_answered(exported):
    import tensorflow as tf

    model, _, call = exported
    prompt, picture = {"prompt": CAPTIONS}, {"image_bytes": files(2)}
    good = call("text_to_image", **prompt, **settings(2))
    read = call("image_to_text", **picture, **settings(2))
    error = tf.errors.InvalidArgumentError
    for condition, changed, message in (
        ({"prompt": [CAPTIONS[0], ""]}, {}, "must not be empty"),
        ({"prompt": [CAPTIONS[0], "a purple cow"]}, {}, "outside the vocab"),
        ({"prompt": ["r" * 10000] * 2}, {}, "at most 4096 bytes"),
        (prompt, {"temperature": [1.0, -1.0]}, "`temperature` must be"),
        (prompt, {"temperature": float("nan")}, "`temperature` must be"),
        (prompt, {"seed": -1}, "`seed` must be"),
        (prompt, {"top_k": -1}, "`top_k` must be"),
        (prompt, {"top_p": 0.0}, "`top_p` must be"),
    ):
        with pytest.raises(error, match=message):
            call("text_to_image", **condition, **settings(2, **changed))
    for contents, message in (
        (b"not a picture", "must be PNG or JPEG"),
        (b"", "must be PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 20_000_000, "bytes"),
        (files(1)[0][:60], "(?i)png"),
    ):
        wrong = {"image_bytes": [files(1)[0], contents]}
        with pytest.raises(error, match=message):
            call("image_to_text", **wrong, **settings(2))
        with pytest.raises(error, match=message):
            call("encode_image", **wrong)
    with pytest.raises(error, match="same first dimension"):
        call("text_to_image", **prompt, **settings(3))
    with pytest.raises(error, match="must lie in"):
        shape = (1, *model.image_tokenizer.code_shape)
        call("decode_codes", codes=np.full(shape, 12, "int32"))
    with pytest.raises((TypeError, error)):
        call(
            "text_to_image",
            **prompt,
            **{**settings(2), "seed": np.zeros(2, "float32")},
        )
    again = call("text_to_image", **prompt, **settings(2))
    np.testing.assert_array_equal(again["codes"], good["codes"])
    again = call("image_to_text", **picture, **settings(2))
    np.testing.assert_array_equal(again["text"], read["text"])


@tensorflow_only
def test_the_folder_holds_the_weights_once_and_a_card(exported):
    model, folder, _ = exported
    card = (folder / "README.md").read_text()
    # The weights once, and nothing else of the model.
    weights = sum(w.nbytes for w in model.get_weights())
    saved = sum(f.stat().st_size for f in (folder / "variables").iterdir())
    assert weights < saved < 1.5 * weights + 20_000
    for name in ("prompt", "image_bytes", "codes", "text", *settings(1)):
        assert f"`{name}`" in card
    guided = model.generator.condition_dropout > 0
    assert ("text_to_image_guided" in card) == guided
    for setting in SETTINGS.values():
        if guided or setting.needs is None:
            assert f"[B], {setting.range}; {setting.meaning}." in card


@tensorflow_only
def test_the_check_accepts_a_folder_and_finds_what_is_wrong(exported, tmp_path):
    import tensorflow as tf

    model, folder, _ = exported
    if not model.generator.condition_dropout:
        pytest.skip("one kind is enough, that with the most signatures")
    done = subprocess.run(
        [sys.executable, "-m", check.__name__, str(folder.parent)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "can be served" in done.stdout
    assert set(check.read_examples(folder)) == set(INPUT_SETTINGS)
    # Folders of before are checked with the settings of their warm-up.
    assert check.read_examples(tmp_path) == {}

    class Compiled(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.float32)],
            jit_compile=True,
        )
        def double(self, x):
            return {"y": 2 * x}

    module = Compiled()
    tf.saved_model.save(
        module, str(tmp_path / "1"), signatures={"double": module.double}
    )
    with pytest.raises(check.CheckError, match="XLA"):
        check.check_operations(tmp_path / "1")
    with pytest.raises(check.CheckError, match="no SavedModel"):
        check.newest_version(tmp_path / "nowhere")


def test_a_folder_is_given_the_next_version(tmp_path):
    assert version_folder(tmp_path / "model") == tmp_path / "model" / "1"
    (tmp_path / "model" / "9").mkdir(parents=True)
    (tmp_path / "model" / "10").mkdir()
    (tmp_path / "model" / "notes").mkdir()
    assert version_folder(tmp_path / "model") == tmp_path / "model" / "11"
    assert version_folder(tmp_path / "model" / "3") == tmp_path / "model/3"


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="TensorFlow exports itself"
)
def test_under_another_backend_tensorflow_writes_the_folder(tmp_path):
    import tensorflow as tf

    model = small_model("patch")
    folder = model.export_serving(tmp_path / "small" / "7")
    assert folder == tmp_path / "small" / "7"
    loaded = tf.saved_model.load(str(folder))
    found = loaded.signatures["text_to_image"](
        prompt=tf.constant(CAPTIONS),
        **{
            name: tf.constant(value)
            for name, value in settings(2, seed=[1, 2], top_k=5).items()
        },
    )
    expected = model.text_to_image(CAPTIONS, seed=[1, 2], top_k=5)
    drawn = pixels(found["image_bytes"].numpy())
    assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_a_model_that_cannot_be_exported_is_refused(tmp_path):
    model = small_model("patch")
    with pytest.raises(ValueError, match="outside the vocabulary"):
        model.export_serving(tmp_path / "small", prompt="a purple cow")
    other = model.caption_tokenizer.tokenizer_json.replace(
        "Lowercase", "StripAccents"
    )
    model.caption_tokenizer = type(model.caption_tokenizer)(
        other, model.caption_tokenizer.max_length
    )
    with pytest.raises((ValueError, RuntimeError), match="another normalizer"):
        model.export_serving(tmp_path / "small")
    assert not (tmp_path / "small" / "1").exists()
