import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops

import keras_bidalle
from keras_bidalle.generators import RQTransformer
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer

TEXT, SHAPE, CODES, WORDS, CHANNELS = 5, (2, 2, 3), 7, 11, 4
CLASSES = {
    "text_length": 1,
    "pad_id": None,
    "pad_tokens": False,
    "mask_padding": False,
}


def make_generator(**options):
    options = {
        "text_vocabulary_size": WORDS,
        "text_length": TEXT,
        "num_codes": CODES,
        "code_shape": SHAPE,
        "width": 16,
        "depth": 1,
        "num_heads": 2,
        "head_depth": 1,
        **options,
    }
    generator = RQTransformer(**options)
    if options.get("code_dim"):
        generator.use_codebooks(codebooks())
    return generator


def shaken(generator):
    """Away from a start at which blocks add nothing."""
    for i, weight in enumerate(generator.trainable_variables):
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=i))
    return generator


def codebooks(count=1):
    rng = np.random.default_rng(7)
    return rng.normal(size=(count, CODES, CHANNELS)).astype("float32")


def make_rows(count=6, **changed):
    rng = np.random.default_rng(0)
    text = rng.integers(5, WORDS, (count, TEXT)).astype("int32")
    text[:, 0] = 1
    text[0, 3:] = [2, 0]
    rows = {
        "text": text,
        "codes": rng.integers(0, CODES, (count, *SHAPE)).astype("int32"),
        "text_to_image": np.arange(count) < 4,
        **changed,
    }
    return {name: value for name, value in rows.items() if value is not None}


def latent_rows(count=6):
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(count, *SHAPE[:2], CHANNELS))
    return make_rows(count, codes=None, latents=latents.astype("float32"))


def as_numpy(outputs):
    return {k: ops.convert_to_numpy(v) for k, v in outputs.items()}


@pytest.mark.parametrize("cumulative", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_the_depths_of_a_stack_are_sampled_as_they_are_predicted(
    cumulative, shared
):
    generator = shaken(
        make_generator(
            head_depth=2,
            shared_embedding=shared,
            shared_classifier=shared,
            cumulative_depth_context=cumulative,
        )
    )
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(3, 16)).astype("float32")
    codes = rng.integers(0, CODES, (3, 3)).astype("int32")
    full = generator.head.logits(
        ops.convert_to_tensor(hidden[:, None]),
        ops.convert_to_tensor(codes[:, None]),
    )
    seen = []

    def draw(logits, place):
        seen.append(ops.convert_to_numpy(logits))
        return ops.convert_to_tensor(codes[:, place])

    drawn = generator.head.draw(ops.convert_to_tensor(hidden), draw)
    np.testing.assert_array_equal(ops.convert_to_numpy(drawn), codes)
    np.testing.assert_allclose(
        np.stack(seen, axis=1),
        ops.convert_to_numpy(full)[:, 0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_code_depends_on_the_codes_before_it_only():
    generator = shaken(make_generator())
    rows = make_rows()
    before = ops.convert_to_numpy(generator(rows)["image_logits"])
    rows["codes"] = rows["codes"].copy()
    rows["codes"][:, 0, 1, 1] += 1
    rows["codes"] %= CODES
    after = ops.convert_to_numpy(generator(rows)["image_logits"])
    # Of position 1 the codes up to the changed one, and position 0.
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-6)
    np.testing.assert_allclose(after[:, 1, :2], before[:, 1, :2], atol=1e-6)
    assert np.abs(after[:, 1, 2] - before[:, 1, 2]).min(axis=1).max() > 1e-4
    assert np.abs(after[:, 2:] - before[:, 2:]).max() > 1e-4


def test_each_depth_may_have_its_own_top_k_and_temperature():
    generator = shaken(make_generator())
    text = make_rows()["text"]

    def likeliest(codes):
        logits = generator(
            {"text": text, "codes": codes, "text_to_image": np.ones(6, bool)}
        )["image_logits"]
        return ops.convert_to_numpy(ops.argmax(logits, axis=-1))

    for settings in (
        {"top_k": [[1, CODES, 1]]},
        {"temperature": np.tile([[0.0, 1.0, 0.0]], (6, 1))},
        {"top_p": [[1e-6, 1.0, 1e-6]]},
    ):
        codes = generator.generate_codes(text, seed=3, **settings)
        same = likeliest(codes) == codes.reshape(6, 4, 3)
        assert same[..., [0, 2]].all() and not same[..., 1].all()
    for wrong in ([1, 2, 3], [[1, 2]], [[0, 1, 1]], [[1, 1, 1]] * 2):
        with pytest.raises(ValueError, match="`top_k` must be"):
            generator.generate_codes(text, top_k=wrong)


@pytest.mark.parametrize("given", ["codes", "latents"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_fit_learns_both_directions(given, policy):
    generator = make_generator(
        code_dim=CHANNELS,
        body_embedding="codebook",
        head_embedding="codebook",
        condition_dropout=0.1,
        code_temperature=0.01,
        dropout=0.05,
        dtype=policy,
    )
    options = {} if (given, policy) == ("codes", "float32") else FEW_STEPS
    generator.compile(keras.optimizers.Adam(1e-2), **options)
    rows = make_rows() if given == "codes" else latent_rows()
    before = generator.evaluate(rows, verbose=0, return_dict=True)
    generator.fit(rows, batch_size=6, epochs=15, verbose=0)
    after = generator.evaluate(rows, verbose=0, return_dict=True)
    for name in ("loss", "image_loss", "text_loss"):
        assert after[name] < before[name]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.codebooks.codebooks), codebooks()
    )


def test_evaluating_latents_is_evaluating_their_nearest_codes():
    generator = shaken(
        make_generator(
            code_dim=CHANNELS, head_embedding="codebook", dropout=0.5
        )
    )
    rows = latent_rows()
    quantizer = ResidualQuantizer(
        VectorQuantizer(CODES, CHANNELS), code_depth=3
    )
    quantizer.ensure_built()
    quantizer.quantizers[0].assign_codebook(codebooks()[0])
    codes = ops.convert_to_numpy(quantizer.encode(rows["latents"]))
    outputs = generator(rows, training=False)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.from_positions(outputs["stacks"])),
        codes,
    )
    hard = {**rows, "codes": codes}
    del hard["latents"]
    np.testing.assert_allclose(
        ops.convert_to_numpy(
            generator.compute_loss(x=rows, y_pred=outputs, training=False)
        ),
        ops.convert_to_numpy(
            generator.compute_loss(
                x=hard, y_pred=generator(hard), training=False
            )
        ),
        rtol=1e-5,
    )


def test_training_draws_other_stacks_each_time_and_learns_their_odds():
    generator = shaken(make_generator(code_dim=CHANNELS, code_temperature=2.0))
    rows = latent_rows()
    first = generator(rows, training=True)
    second = generator(rows, training=True)
    stacks = as_numpy(first)["stacks"]
    assert (stacks != as_numpy(second)["stacks"]).any()

    # The loss, in NumPy, from the logits of the drawn stacks.
    hard = {**rows, "codes": generator.head.from_positions(first["stacks"])}
    del hard["latents"]
    logits = ops.convert_to_numpy(generator(hard)["image_logits"])
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    book = codebooks()[0]
    residual = rows["latents"].reshape(6, 4, CHANNELS)
    expected = 0.0
    for depth in range(3):
        distance = ((residual[..., None, :] - book) ** 2).sum(axis=-1)
        odds = np.exp(-distance / 2.0)
        odds /= odds.sum(axis=-1, keepdims=True)
        expected = expected - (odds * log_p[:, :, depth]).sum(axis=-1) / 3
        residual = residual - book[stacks[:, :, depth]]
    np.testing.assert_allclose(
        ops.convert_to_numpy(generator.head.losses_of(rows, first)),
        expected,
        rtol=1e-4,
    )


def test_a_class_has_no_loss_and_conditions_pictures():
    generator = shaken(make_generator(**CLASSES))
    rows = make_rows(text=np.arange(6)[:, None], text_to_image=np.ones(6, bool))
    outputs = generator(rows)
    assert tuple(outputs["text_logits"].shape) == (6, 0, WORDS)
    np.testing.assert_allclose(
        ops.convert_to_numpy(generator.compute_loss(x=rows, y_pred=outputs)),
        ops.convert_to_numpy(generator.head.losses_of(rows, outputs)).mean(),
        rtol=1e-5,
    )
    logits = ops.convert_to_numpy(outputs["image_logits"])
    other = generator({**rows, "text": rows["text"] + 1})["image_logits"]
    assert np.abs(ops.convert_to_numpy(other) - logits).max() > 1e-3
    codes = generator.generate_codes(rows["text"], num_samples=2)
    assert codes.shape == (12, *SHAPE) and codes.dtype == np.int32
    with pytest.raises(ValueError, match="`text` must be integers"):
        generator.generate_codes([[WORDS]])
    with pytest.raises(ValueError, match="needs a generator of captions"):
        generator.generate_text(codes)


def test_captions_are_written_of_stacks():
    generator = shaken(make_generator())
    codes = make_rows()["codes"]
    text = generator.generate_text(codes, seed=1, temperature=1.0)
    assert text.shape == (6, TEXT) and (text[:, 0] == 1).all()
    assert text.max() < WORDS
    alone = generator.generate_text(codes[2:3], seed=1, temperature=1.0)
    np.testing.assert_array_equal(alone[0], text[2])


@pytest.mark.parametrize("shared", [True, False])
def test_a_preset_holds_the_codebooks(tmp_path, shared):
    generator = shaken(
        make_generator(
            code_dim=CHANNELS,
            shared_codebook=shared,
            body_embedding="codebook",
            head_num_heads=4,
            **CLASSES,
        )
    )
    if not shared:
        generator.use_codebooks(codebooks(3))
    generator.save_to_preset(tmp_path / "rq")
    loaded = keras_bidalle.load(tmp_path / "rq")
    assert type(loaded) is RQTransformer
    assert loaded.get_config() == generator.get_config()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded.head.codebooks.codebooks),
        codebooks(1 if shared else 3),
    )
    rows = make_rows(text=np.arange(6)[:, None])
    np.testing.assert_allclose(
        as_numpy(loaded(rows))["image_logits"],
        as_numpy(generator(rows))["image_logits"],
        atol=1e-6,
    )


def test_codebooks_come_from_a_quantizer_of_one_or_many():
    quantizer = ResidualQuantizer(
        VectorQuantizer(CODES, CHANNELS), code_depth=3, shared=False
    )
    generator = make_generator(code_dim=CHANNELS, shared_codebook=False)
    generator.use_codebooks(quantizer)
    for book, part in zip(
        ops.convert_to_numpy(generator.head.codebooks.codebooks),
        quantizer.quantizers,
        strict=True,
    ):
        np.testing.assert_array_equal(book, ops.convert_to_numpy(part.codebook))
    # One that serves all depths, given once or for each.
    generator.use_codebooks(codebooks()[0])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(generator.head.codebooks.codebooks),
        np.repeat(codebooks(), 3, 0),
    )
    shared = make_generator(code_dim=CHANNELS)
    shared.use_codebooks(np.repeat(codebooks(), 3, axis=0))
    with pytest.raises(ValueError, match="codebooks of shape"):
        shared.use_codebooks(quantizer)
    with pytest.raises(ValueError, match="`tokenizer` must"):
        shared.use_codebooks(VectorQuantizer(CODES, CHANNELS))
    with pytest.raises(ValueError, match="`code_dim`"):
        make_generator().use_codebooks(quantizer)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"code_shape": (4, 4)}, "`code_shape` must be"),
        ({"head_depth": 0}, "`head_depth` must be"),
        ({"body_embedding": "none"}, "`body_embedding` must be"),
        ({"head_embedding": "codebook"}, "needs `code_dim`"),
        ({"code_dim": 0}, "`code_dim` must be"),
        ({"code_temperature": 0.0}, "`code_temperature` must be"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**options)


def test_latents_and_missing_codebooks_are_told():
    with pytest.raises(ValueError, match="`latents` need"):
        make_generator()(latent_rows())
    generator = RQTransformer(
        WORDS, TEXT, CODES, SHAPE, 16, 1, 2, head_depth=1, code_dim=CHANNELS
    )
    generator.compile("adam")
    with pytest.raises(ValueError, match="Call `use_codebooks`"):
        generator.fit(make_rows(), verbose=0)
