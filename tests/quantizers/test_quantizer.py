"""What every quantizer keeps of the contract."""

import keras
import numpy as np
import pytest
from keras import ops
from quantizer_arrays import repeated_centers, to_numpy

from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    GumbelQuantizer,
    LastLevelQuantizer,
    LatentPatchQuantizer,
    OrthogonalRegularizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)

KINDS = {
    "plain": lambda: VectorQuantizer(16, 8),
    "cosine": lambda: VectorQuantizer(16, 8, distance="cosine"),
    "cared": lambda: VectorQuantizer(
        16,
        8,
        kmeans_steps=3,
        revival_steps=4,
        seed=1,
        codebook_regularizer=OrthogonalRegularizer(num_sampled_codes=8),
    ),
    "orthogonal": lambda: OrthogonalVectorQuantizer(16, 8),
    "unit": lambda: OrthogonalVectorQuantizer(16, 8, unit_length=True),
    "ema": lambda: EMAVectorQuantizer(16, 8),
    "residual": lambda: ResidualQuantizer(
        EMAVectorQuantizer(16, 8), code_depth=3
    ),
    "separate": lambda: ResidualQuantizer(
        VectorQuantizer(16, 8, seed=3), code_depth=2, shared=False
    ),
    "listed": lambda: ResidualQuantizer(
        [VectorQuantizer(16, 8), EMAVectorQuantizer(16, 8)]
    ),
    "gumbel": lambda: GumbelQuantizer(16, 8, temperature=0.5, hard=True),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def latents(*shape):
    rng = np.random.default_rng(3)
    return rng.normal(size=shape or (2, 4, 4, 8)).astype("float32")


@kinds
def test_codes_decode_to_what_the_call_gives(kind):
    quantizer = KINDS[kind]()
    codes = quantizer.encode(latents())
    assert keras.backend.standardize_dtype(codes.dtype) == "int32"
    depth = () if quantizer.code_depth is None else (quantizer.code_depth,)
    assert tuple(codes.shape) == (2, 4, 4, *depth)
    vectors = quantizer.decode(codes)
    assert keras.backend.standardize_dtype(vectors.dtype) == "float32"
    output = quantizer(latents())
    np.testing.assert_allclose(
        to_numpy(output), to_numpy(vectors), rtol=1e-5, atol=1e-6
    )


@kinds
def test_no_pictures_have_no_codes(kind):
    quantizer = KINDS[kind]()
    depth = () if quantizer.code_depth is None else (quantizer.code_depth,)
    codes = quantizer.encode(latents()[:0])
    assert tuple(codes.shape) == (0, 4, 4, *depth)


@kinds
def test_any_number_of_dimensions_is_quantized_alike(kind):
    quantizer = KINDS[kind]()
    grid = to_numpy(quantizer.encode(latents()))
    rows = to_numpy(quantizer.encode(latents().reshape(2, 16, 8)))
    np.testing.assert_array_equal(grid.reshape(rows.shape), rows)


@kinds
def test_config_round_trip(kind):
    quantizer = KINDS[kind]()
    config = keras.saving.serialize_keras_object(quantizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(quantizer)
    assert keras.saving.serialize_keras_object(again) == config


@kinds
def test_a_plain_call_leaves_the_weights_alone(kind):
    quantizer = KINDS[kind]()
    quantizer.ensure_built()
    before = [to_numpy(v).copy() for v in quantizer.weights]
    quantizer(latents())
    for old, new in zip(before, quantizer.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))


@pytest.mark.parametrize("kind", ["plain", "residual", "gumbel"])
def test_loss_of_a_step_does_not_pile_up_over_calls(kind):
    quantizer = KINDS[kind]()
    quantizer(latents())
    once = len(quantizer.losses)
    quantizer(latents())
    assert len(quantizer.losses) == once > 0


@pytest.mark.parametrize("kind", ["plain", "ema", "residual"])
def test_output_passes_gradients_straight_through(kind, gradients):
    quantizer = KINDS[kind]()
    weights = np.random.default_rng(5).normal(size=(2, 4, 4, 8))
    tensor = ops.convert_to_tensor(weights.astype("float32"))
    grad_z, _ = gradients(
        quantizer,
        latents(),
        of=lambda output, _: ops.sum(output * tensor),
    )
    np.testing.assert_allclose(grad_z, weights, rtol=1e-5)


@kinds
def test_half_precision_policy_computes_in_float32(kind):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        quantizer = KINDS[kind]()
        output = quantizer(latents(), training=False)
        assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
        codes = to_numpy(quantizer.encode(latents()))
        for loss in quantizer.losses:
            assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
    same = KINDS[kind]()
    same.ensure_built()
    same.set_weights(quantizer.get_weights())
    np.testing.assert_array_equal(codes, to_numpy(same.encode(latents())))


@pytest.mark.parametrize("kind", ["cared", "ema", "residual", "gumbel"])
def test_fit_shows_usage_and_perplexity_and_saves(
    kind, autoencoder, clusters, tmp_path
):
    quantizer = KINDS[kind]()
    if kind == "ema":  # A step gives every array away once, on JAX.
        quantizer.assign_codebook(latents(16, 8))
    model = autoencoder(quantizer)
    history = model.fit(
        clusters, clusters, epochs=2, batch_size=64, verbose=0
    ).history
    figures = model.evaluate(clusters, clusters, verbose=0, return_dict=True)
    codes = model.layers[2].encode(model.layers[1](clusters))
    counts = np.bincount(to_numpy(codes).ravel(), minlength=16)
    shares = counts / counts.sum()
    used = shares[shares > 0]
    assert figures["codebook_usage"] == pytest.approx(len(used) / 16)
    perplexity = np.exp(-np.sum(used * np.log(used)))
    assert figures["perplexity"] == pytest.approx(perplexity, rel=1e-3)
    assert all(0 < usage <= 1 for usage in history["codebook_usage"])
    assert all(1 <= value <= 16 for value in history["perplexity"])

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        model.predict(clusters[:4], verbose=0),
        again.predict(clusters[:4], verbose=0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_metrics_start_anew_after_reset():
    quantizer = VectorQuantizer(4, 2)
    quantizer.assign_codebook([[0, 0], [0, 1], [1, 0], [1, 1]])
    usage, perplexity = quantizer.metrics
    quantizer(np.array([[0, 0], [0.1, 0], [0, 0.9], [0, 1]]), training=False)
    assert float(usage.result()) == pytest.approx(0.5)
    assert float(perplexity.result()) == pytest.approx(2.0)
    quantizer(np.array([[1.0, 0]]), training=False)
    assert float(usage.result()) == pytest.approx(0.75)
    usage.reset_state()
    perplexity.reset_state()
    quantizer(np.array([[1.0, 0]]), training=False)
    assert float(usage.result()) == pytest.approx(0.25)
    assert float(perplexity.result()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [VectorQuantizer, EMAVectorQuantizer])
def test_kmeans_start_finds_the_clusters(kind):
    centers, z = repeated_centers(10, 30, 3.0, 0.01, seed=4)
    quantizer = kind(10, 5, kmeans_steps=12, seed=0)
    for _ in range(12):
        quantizer(z, training=True)
    gaps = to_numpy(quantizer.codebook)[:, None] - centers
    assert (np.abs(gaps).max(-1).min(0) < 0.05).mean() >= 0.9


def test_frozen_quantizer_does_not_move():
    quantizer = EMAVectorQuantizer(16, 8)
    quantizer.ensure_built()
    before = to_numpy(quantizer.codebook).copy()
    quantizer.trainable = False
    quantizer(latents(), training=True)
    np.testing.assert_array_equal(before, to_numpy(quantizer.codebook))


FROZEN = {
    "averaged": lambda: EMAVectorQuantizer(16, 8, trainable=False),
    "shared": lambda: ResidualQuantizer(
        EMAVectorQuantizer(16, 8), code_depth=2, trainable=False
    ),
    "separate": lambda: ResidualQuantizer(
        EMAVectorQuantizer(16, 8), 2, shared=False, trainable=False
    ),
    "patches": lambda: LatentPatchQuantizer(
        EMAVectorQuantizer(16, 32), patch_size=2, trainable=False
    ),
    "last level": lambda: LastLevelQuantizer(
        EMAVectorQuantizer(16, 8), [(4, 4)], trainable=False
    ),
    "projected": lambda: VectorQuantizer(
        16, 4, input_dim=8, revival_steps=1, trainable=False
    ),
    "gumbel": lambda: GumbelQuantizer(16, 8, trainable=False),
}


@pytest.mark.parametrize("kind", FROZEN)
def test_a_constructor_freezes_all_that_is_inside(kind):
    quantizer = FROZEN[kind]()
    z = (latents(),) if kind == "last level" else latents()
    quantizer(z)
    kept = [v for v in quantizer.weights if v.name != "epoch_counts"]
    before = [to_numpy(v).copy() for v in kept]
    quantizer(z, training=True)
    for old, new in zip(before, kept, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))
    # Also as Keras counts for a model that is trained.
    outer = keras.layers.Layer()
    outer.inner = quantizer
    assert outer.trainable_weights == []


def test_sides_that_patches_do_not_divide_are_refused():
    quantizer = LatentPatchQuantizer(VectorQuantizer(16, 32), patch_size=2)
    for shape in ((2, 3, 4, 8), (2, 4, 3, 8), (2, 16, 8)):
        for call in (quantizer.encode, quantizer):
            with pytest.raises(ValueError, match="multiples of `patch_size`=2"):
                call(latents(*shape))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: VectorQuantizer(0, 8), "`num_codes` must be a positive"),
        (lambda: VectorQuantizer(16, 2.5), "`code_dim` must be a positive"),
        (
            lambda: VectorQuantizer(16, 8, commitment_weight=-1),
            "`commitment_weight` must be a number",
        ),
        (lambda: VectorQuantizer(16, 8, distance="l1"), "`distance` must be"),
        (
            lambda: VectorQuantizer(16, 8, kmeans_steps=0.5),
            "`kmeans_steps` must be an integer",
        ),
        (
            lambda: VectorQuantizer(16, 8, normalize="no"),
            "`normalize` must be True or False",
        ),
        (
            lambda: GumbelQuantizer(16, 8, hard="no"),
            "`hard` must be True or False",
        ),
        (
            lambda: ResidualQuantizer(VectorQuantizer(16, 8), 2, shared="no"),
            "`shared` must be True or False",
        ),
        (
            lambda: VectorQuantizer(16, 8, revival_steps=0),
            "`revival_steps` must be a positive",
        ),
        (lambda: EMAVectorQuantizer(16, 8, decay=1.0), "`decay` must lie"),
        (
            lambda: OrthogonalVectorQuantizer(16, 8, orthogonality=-1.0),
            "`coefficient` must be a number",
        ),
        (
            lambda: GumbelQuantizer(16, 8, temperature=0.0),
            "`temperature` must be a number",
        ),
        (
            lambda: ResidualQuantizer(GumbelQuantizer(16, 8), code_depth=2),
            "`quantizer` must be a HardQuantizer",
        ),
        (
            lambda: ResidualQuantizer(VectorQuantizer(16, 8), code_depth=0),
            "`code_depth` must be a positive",
        ),
        (
            lambda: ResidualQuantizer(
                [VectorQuantizer(16, 8), VectorQuantizer(16, 4)]
            ),
            "same code_dim",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@kinds
def test_latents_of_another_width_are_refused(kind):
    quantizer = KINDS[kind]()
    with pytest.raises(ValueError, match="_dim`=8"):
        quantizer.encode(latents(2, 4, 4, 7))
    with pytest.raises(ValueError, match="_dim`=8"):
        KINDS[kind]()(latents(2, 4, 4, 7))


@kinds
def test_codes_that_are_no_integers_are_refused(kind):
    with pytest.raises(TypeError, match="`codes` must be integers"):
        KINDS[kind]().decode(np.zeros((2, 3), "float32"))
