"""Generators as users put them together, and what they say of arguments."""

import inspect

import numpy as np
import pytest
from keras import ops

import keras_bidalle
from keras_bidalle import generators
from keras_bidalle.quantizers import ResidualQuantizer, VectorQuantizer


def parts(width=16, depth=2, grid=(2, 3), **options):
    return {
        "layout": generators.RowLayout(5, grid, depth=depth, head_dim=8),
        "captions": generators.CaptionTokens(11, 5, width=16),
        "head": generators.SingleCodeHead(7, (2, 3), width=16),
        "embedding": generators.RowEmbedding(5, (2, 3), width=16),
        "transformer": generators.Transformer(width, 2, num_heads=2, **options),
    }


def rows():
    rng = np.random.default_rng(0)
    return {
        "text": rng.integers(3, 11, (2, 5)).astype("int32"),
        "codes": rng.integers(0, 7, (2, 2, 3)).astype("int32"),
        "text_to_image": np.array([True, False]),
    }


def test_one_made_of_parts_is_a_preset_in_any_dtype(tmp_path):
    generator = generators.Generator(
        **parts(block={"activation": "geglu"}, token_kernel_size=2),
        objective=generators.NextToken(target_weight=3.0),
    )
    generator.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    assert again.get_config() == generator.get_config()
    assert again.objective.target_weight == 3.0
    np.testing.assert_allclose(
        ops.convert_to_numpy(again(rows())["image_logits"]),
        ops.convert_to_numpy(generator(rows())["image_logits"]),
        atol=1e-6,
    )
    narrow = keras_bidalle.load(tmp_path / "preset", dtype="bfloat16")
    assert narrow.transformer.blocks[0].compute_dtype == "bfloat16"
    assert narrow.head.compute_dtype == "bfloat16"


def test_parts_may_be_those_of_a_published_generator(tmp_path):
    made = rq_generator()
    made.use_codebooks(cosine_quantizer())
    generator = generators.Generator(
        made.layout,
        made.captions,
        made.head,
        made.embedding,
        made.transformer,
    )
    generator.save_to_preset(tmp_path / "preset")
    again = keras_bidalle.load(tmp_path / "preset")
    inputs = {**rows(), "codes": np.zeros((2, 2, 2, 2), "int32")}
    np.testing.assert_allclose(
        ops.convert_to_numpy(again(inputs)["image_logits"]),
        ops.convert_to_numpy(made(inputs)["image_logits"]),
        atol=1e-6,
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again.head.codebooks.codebooks),
        ops.convert_to_numpy(made.head.codebooks.codebooks),
    )


@pytest.mark.parametrize(
    "name,value", [("width", 32), ("depth", 3), ("grid", (3, 2))]
)
def test_parts_that_do_not_fit_are_told(name, value):
    with pytest.raises(ValueError, match=f"must have the same `{name}`"):
        generators.Generator(**parts(**{name: value}))


def test_arguments_are_shown_and_unknown_ones_told():
    parameters = inspect.signature(generators.RQTransformer).parameters
    assert parameters["head_depth"].default == 4
    assert parameters["attention"].default == ("full",)
    assert (
        "head_depth"
        not in inspect.signature(generators.BidirectionalTransformer).parameters
    )
    with pytest.raises(TypeError, match="no arguments patch_size.*rotary"):
        generators.BidirectionalTransformer(
            11, 5, 7, (2, 2), 16, 1, 2, patch_size=2
        )


def cosine_quantizer(distances=("cosine", "cosine")):
    books = np.random.default_rng(1).normal(size=(2, 7, 4)).astype("float32")
    # Codes of unlike lengths, of which the distances choose others.
    books *= np.linspace(0.2, 5.0, 7, dtype="float32")[:, None]
    depths = [VectorQuantizer(7, 4, distance=d) for d in distances]
    quantizer = ResidualQuantizer(depths)
    for part, book in zip(depths, books, strict=True):
        part.assign_codebook(book)
    return quantizer


def rq_generator():
    return generators.RQTransformer(
        *(11, 5, 7, (2, 2, 2), 16, 1, 2),
        head_depth=1,
        code_dim=4,
        shared_codebook=False,
    )


def test_latents_are_measured_by_the_distance_of_their_tokenizer(tmp_path):
    quantizer, generator = cosine_quantizer(), rq_generator()
    generator.use_codebooks(quantizer)
    generator.save_to_preset(tmp_path / "preset")
    latents = np.random.default_rng(0).normal(size=(2, 2, 2, 4))
    inputs = {**rows(), "latents": latents.astype("float32")}
    del inputs["codes"]
    codes = ops.convert_to_numpy(quantizer.encode(inputs["latents"]))
    for made in (generator, keras_bidalle.load(tmp_path / "preset")):
        stacks = made(inputs, training=False)["stacks"]
        found = ops.convert_to_numpy(made.head.from_positions(stacks))
        np.testing.assert_array_equal(found, codes)


def test_depths_that_are_searched_by_several_distances_are_told():
    with pytest.raises(ValueError, match="by one distance"):
        rq_generator().use_codebooks(cosine_quantizer(("l2", "cosine")))
