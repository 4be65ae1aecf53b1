"""Generators: stopped and resumed, of classes, from earlier ones."""

import json
import os
import signal

import keras
import numpy as np
import pytest
import train_generator
import train_tokenizer
from trained import GENERATOR_RUN

import keras_bidalle
from keras_bidalle import training

pytestmark = pytest.mark.any_backend

STEPS = 12


@pytest.fixture
def stopped(monkeypatch):
    """Sends SIGTERM at a step of the run, once."""

    class Stops(training.RunProgress):
        at = None

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if self.steps_done(batch) == Stops.at:
                Stops.at = None
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(training, "RunProgress", Stops)
    return Stops


def train(name, runs, folder, *more):
    line = GENERATOR_RUN.format(folder=folder, output=runs)
    line = line.replace("--name generator", f"--name {name}")
    return train_generator.main([*line.split(), f"--set=steps={STEPS}", *more])


def weights_of(folder):
    generator = keras_bidalle.load(folder / "model").generator
    return [keras.ops.convert_to_numpy(w) for w in generator.weights]


def test_a_resumed_generator_equals_an_undisturbed_one(
    runs, pictures, stopped, capsys
):
    folder, _ = pictures
    assert train("whole", runs, folder) == 0
    stopped.at = 7
    with pytest.raises(SystemExit) as ended:
        train("cut", runs, folder)
    assert ended.value.code == 143
    kept = json.loads((runs / "cut" / "vocabulary.json").read_text())
    told = capsys.readouterr().out
    assert "in the vocabulary" in told

    # Other words are told, and no words.
    file = runs / "cut" / "vocabulary.json"
    other = {**kept, "max_length": kept["max_length"] + 1}
    for text in (json.dumps(other), "[]", None):
        file.unlink()
        if text is not None:
            file.write_text(text)
        assert train("cut", runs, folder, "--resume") == 1
        assert "vocabulary.json" in capsys.readouterr().err
    file.write_text(json.dumps(kept))

    assert train("cut", runs, folder, "--resume") == 0
    for ours, theirs in zip(
        weights_of(runs / "cut"), weights_of(runs / "whole"), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    models = [keras_bidalle.load(runs / n / "model") for n in ("cut", "whole")]
    first, second = (model.caption_tokenizer for model in models)
    assert first.get_config() == second.get_config()
    assert first.tokenizer_json == kept["tokenizer_json"]


def run(name, runs, *words):
    line = f"""--tiny --output {runs} --name {name} --precision float32
    --tokenizer {runs}/tokenizer/tokenizer --set steps=2 --set batch_size=4"""
    return train_generator.main([*words, *line.split()])


@pytest.mark.parametrize("classes", [2, 1])
def test_classes_or_nothing_are_a_condition(classes, runs, pictures, capsys):
    folder = runs / f"classes-{classes}"
    for i in range(4):
        place = folder / ("cats", "dogs")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        content = (pictures[0] / f"{i}.png").read_bytes()
        (place / f"{i}.png").write_bytes(content)
    name = f"of-{classes}"
    given = ["mindalle-1.3b", "--images", str(folder)]
    given += ["--set", "text_length=1"]
    given += ["--set", f"text_vocabulary_size={classes}"]
    assert run(name, runs, *given) == 0, capsys.readouterr().err
    generator = keras_bidalle.load(runs / name / "model")
    tokenizer = keras_bidalle.load(runs / name / "tokenizer")
    kept = json.loads((runs / name / "classes.json").read_text())
    assert kept == ["cats", "dogs"] if classes == 2 else kept == [""]
    codes = generator.generate_codes([[classes - 1]], seed=0)
    assert tokenizer.decode(codes).shape == (1, *tokenizer.image_shape)
    assert (runs / name / "text_to_image.png").is_file()


def test_a_published_generator_without_captions_trains(tmp_path):
    common = "--tiny --fake-data --precision float32 --set batch_size=4 "
    common += f"--set steps=2 --output {tmp_path}"
    more = "rq-vae-ffhq --set adversarial_weight=0"
    assert train_tokenizer.main(f"{more} {common}".split()) == 0
    tokenizer = tmp_path / "rq-vae-ffhq" / "tokenizer"
    for name, few in (("ffhq-355m", 1), ("imagenet-480m", 200)):
        line = f"rq-transformer-{name} --tokenizer {tokenizer} {common}"
        assert train_generator.main([*line.split(), "--name", name]) == 0
        model = keras_bidalle.load(tmp_path / name / "model")
        assert (model.text_length, model.text_vocabulary_size) == (1, few)


def test_gray_pictures_train_a_tokenizer_of_one_channel(
    pictures, tmp_path, capsys
):
    line = f"""te-vqgan-mnist64 --tiny --images {pictures[0]} --set steps=1
    --output {tmp_path} --precision float32 --set image_shape="""
    assert train_tokenizer.main([*f"{line}[32,32,1]".split()]) == 0
    tokenizer = keras_bidalle.load(tmp_path / "te-vqgan-mnist64" / "tokenizer")
    assert tokenizer.image_shape == (32, 32, 1)
    other = f"{line}[32,32,4] --name other".split()
    assert train_tokenizer.main(other) == 1
    assert "`image_shape`" in capsys.readouterr().err


def test_a_generator_starts_from_one_of_other_words(
    runs, pictures, tmp_path, capsys
):
    for i, caption in enumerate(("red 3 on the upper left .", "a zebra!")):
        content = (pictures[0] / f"{i}.png").read_bytes()
        (tmp_path / f"{i}.png").write_bytes(content)
        (tmp_path / f"{i}.txt").write_text(caption)
    earlier = runs / "generator" / "model"
    words = ["bidalle-mnist64", "--pairs", str(tmp_path), "--start-from"]
    still = ["--set", "learning_rate=1e-30"]
    assert run("on", runs, *words, str(earlier), *still) == 0
    told = capsys.readouterr().out
    assert "carried over" in told and "words are known" in told
    before, after = (
        keras_bidalle.load(folder) for folder in (earlier, runs / "on/model")
    )
    ids = [
        model.caption_tokenizer.tokens_of("the")[0] for model in (before, after)
    ]
    old, new = (
        keras.ops.convert_to_numpy(model.generator.captions.embedding)
        for model in (before, after)
    )
    texts = [m.caption_tokenizer.tokenizer_json for m in (before, after)]
    assert texts[0] != texts[1]
    np.testing.assert_array_equal(new[ids[1]], old[ids[0]])
    assert run("off", runs, *words, "te-vqgan-mnist") == 1
    assert "of the same class" in capsys.readouterr().err


def test_captions_that_cannot_be_encoded_are_left_out_and_named(
    runs, pictures, tmp_path, capsys
):
    folder, _ = pictures
    for i, caption in enumerate(("a red 3", "a [UNK] tree", "a blue 4")):
        (tmp_path / f"{i}.png").write_bytes((folder / f"{i}.png").read_bytes())
        (tmp_path / f"{i}.txt").write_text(caption)
    assert train("special", runs, tmp_path, "--set=steps=1") == 0
    told = capsys.readouterr().out
    assert "1 of 3 captions are left out" in told and "1.png" in told
