import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.backend.compiled import compiled
from keras_bidalle.generators import (
    ATTENTION_KINDS,
    BidirectionalTransformer,
    PatchBidirectionalTransformer,
    RQTransformer,
    row_uniforms,
)
from keras_bidalle.sampling.decoders import Sequential, targets
from keras_bidalle.transformer import kv_cache

TEXT, GRID, CODES, WORDS = 6, (4, 4), 7, 11
CASES = [(BidirectionalTransformer, (kind,), {}) for kind in ATTENTION_KINDS]
CASES += [
    (
        BidirectionalTransformer,
        ATTENTION_KINDS,
        {"rotary": True, "token_kernel_size": 3},
    ),
    (PatchBidirectionalTransformer, ("full", "axial_row"), {}),
    (
        PatchBidirectionalTransformer,
        ("full",),
        {
            "rotary": True,
            "token_kernel_size": 5,
            "normalization": "rms",
            "query_key_norm": True,
            "mask_padding": False,
            "activation": "squared_relu",
        },
    ),
    (
        RQTransformer,
        ("full", "axial_row"),
        {
            "code_shape": (3, 2, 3),
            "head_depth": 2,
            "shared_embedding": False,
            "shared_classifier": False,
        },
    ),
    (
        RQTransformer,
        ("full",),
        {
            "code_shape": (2, 4, 2),
            "head_depth": 1,
            "head_num_heads": 4,
            "body_embedding": "codebook",
            "head_embedding": "codebook",
            "cumulative_depth_context": False,
            "code_dim": 5,
            "rotary": True,
            "token_kernel_size": 3,
            "image_positions": "learned_places",
            "qkv_bias": True,
            "activation": "quick_gelu",
        },
    ),
]


def make_generator(
    cls, attention=("full",), code_shape=GRID, width=16, **kwargs
):
    generator = cls(
        text_vocabulary_size=WORDS,
        text_length=TEXT,
        num_codes=CODES,
        code_shape=code_shape,
        width=width,
        depth=len(attention),
        num_heads=2,
        attention=attention,
        kernel_size=3,
        condition_dropout=0.1,
        **kwargs,
    )
    # Fresh blocks add nothing (their outputs start at zero).
    for weight in generator.trainable_variables:
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=5))
    if kwargs.get("code_dim"):
        generator.use_codebooks(
            np.random.default_rng(1).normal(
                size=generator.head.codebooks.codebooks.shape
            )
        )
    return generator


def make_rows(count=2, code_shape=GRID):
    rng = np.random.default_rng(0)
    text = rng.integers(5, WORDS, (count, TEXT)).astype("int32")
    text[:, 0] = 1
    text[0, 4:] = [2, 0]
    codes = rng.integers(0, CODES, (count, *code_shape)).astype("int32")
    return text, codes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks of a cache, as rows of images in earnest have."""
    monkeypatch.setattr(kv_cache, "_LEAST_POSITIONS", 8)


# Numbers of rows and channels for which products are laid out anew.
WIDE = [(BidirectionalTransformer, ("full",), {"width": 64}, n) for n in (1, 4)]


@pytest.mark.parametrize(
    "cls,attention,options,count", [(*case, 2) for case in CASES] + WIDE
)
def test_cached_logits_equal_the_full_forward_pass(
    cls, attention, options, count
):
    generator = make_generator(cls, attention, **options)
    text, codes = make_rows(count, generator.code_shape)
    stacks = generator.head.to_positions(codes)

    def ends(prompt):
        return kv_cache.block_ends(prompt, generator.layout.length)

    def full(direction):
        return generator(
            {
                "text": text,
                "codes": codes,
                "text_to_image": np.full(count, direction),
            }
        )

    def cached(first, rest, direction, offset):
        places = (
            generator.layout.places(
                True,
                generator.compute_dtype,
                generator.captions.is_padding(text),
            )
            if direction
            else generator.layout.places(False, generator.compute_dtype)
        )
        transformer = generator.transformer
        x, caches = transformer.prefill(first, places, generator.layout.length)
        run = targets.calls_of(generator, x.shape[0])
        outputs = [x]
        for i in range(rest.shape[1]):
            index = ops.convert_to_tensor(offset + i, "int32")
            room = [e for e in ends(first.shape[1]) if e > offset + i]
            caches = kv_cache.extend_caches(caches, room[0], places.windows)
            x, caches = transformer.decode(
                rest[:, i : i + 1], caches, places, index, run
            )
            outputs.append(x)
        return transformer.norm(ops.concatenate(outputs, axis=1))

    hidden = cached(
        targets.embedded_text(generator, text, 0),
        targets.embedded_image(generator, stacks, 1)[:, :-1],
        True,
        TEXT,
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(generator.head.logits(hidden, stacks)),
        ops.convert_to_numpy(full(True)["image_logits"]),
        rtol=1e-4,
        atol=1e-4,
    )
    hidden = cached(
        targets.embedded_image(generator, stacks, 0),
        targets.embedded_text(generator, text, 1)[:, :-1],
        False,
        generator.layout.num_positions,
    )
    # Past the end token the two differ in nothing that is ever read: pads
    # are not fed back.
    np.testing.assert_allclose(
        ops.convert_to_numpy(generator.captions.logits(hidden))[:, 1:5],
        ops.convert_to_numpy(full(False)["text_logits"])[:, :4],
        rtol=1e-4,
        atol=1e-4,
    )


def settings(count, **given):
    values = {"temperature": 1.0, **given}
    return {
        name: ops.convert_to_tensor(
            np.full(count, value, "int32" if name == "top_k" else "float32")
        )
        for name, value in values.items()
    }


@pytest.mark.parametrize("cls,attention,options", CASES)
def test_a_row_is_sampled_alone_as_in_its_batch(cls, attention, options):
    generator = make_generator(cls, attention, **options)
    text, codes = make_rows(3, generator.code_shape)
    stacks = ops.convert_to_numpy(generator.head.to_positions(codes))
    shape = (generator.layout.num_positions, generator.head.codes_per_position)
    uniforms = row_uniforms([3, 4, 5], shape)
    words = row_uniforms([3, 4, 5], (TEXT,))
    legal = np.zeros(WORDS + TEXT, "float32")
    legal[WORDS:] = -1e9
    given = {"top_k": 5, "top_p": 0.9, "guidance_scale": 2.0}

    def pictures(text, uniforms, prime, settings):
        return Sequential().codes(generator, text, uniforms, prime, settings)

    def captions(stacks, uniforms, settings):
        return Sequential().text(generator, stacks, uniforms, legal, settings)

    for function, arguments in (
        (pictures, (text, uniforms, stacks[:, :0])),
        (captions, (stacks, words)),
    ):
        sample = compiled(function, [generator])

        def rows(first, last, arguments=arguments, sample=sample):
            parts = [ops.convert_to_tensor(a[first:last]) for a in arguments]
            drawn = sample(*parts, settings(last - first, **given))
            return ops.convert_to_numpy(drawn)

        together = rows(0, 3)
        for i in range(3):
            np.testing.assert_array_equal(rows(i, i + 1)[0], together[i])


def null_logits(generator, stacks):
    """Logits of a whole image whose caption was dropped, without a cache."""
    null = generator.embedding.absent(len(stacks), True, 0)
    x = ops.concatenate(
        [null, targets.embedded_image(generator, stacks, 1)], axis=1
    )
    places = generator.layout.places(True, generator.compute_dtype)
    before = generator.transformer(x, places=places)[:, TEXT - 1 : -1]
    return generator.head.logits(before, stacks)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("cls,attention,options", [CASES[i] for i in (6, 7, 9)])
def test_greedy_codes_are_the_likeliest_without_a_cache(
    cls, attention, options, guided
):
    generator = make_generator(cls, attention, **options)
    text, _ = make_rows()
    given = {"guidance_scale": 2.0} if guided else {}
    codes = generator.generate_codes(text, temperature=0.0, **given)
    stacks = generator.head.to_positions(ops.convert_to_tensor(codes))
    logits = generator(
        {"text": text, "codes": codes, "text_to_image": np.ones(2, bool)}
    )["image_logits"]
    if guided:
        null = null_logits(generator, stacks)
        logits = null + 2.0 * (logits - null)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.argmax(logits, axis=-1)),
        ops.convert_to_numpy(stacks),
    )


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="torch compiles nothing"
)
def test_other_settings_need_no_other_program(monkeypatch):
    generator = make_generator(BidirectionalTransformer)
    text, codes = make_rows()
    traces = []
    for name in ("codes", "text"):
        original = getattr(Sequential, name)

        def traced(*args, original=original, name=name):
            traces.append(name)
            return original(*args)

        monkeypatch.setattr(Sequential, name, traced)

    longer = np.where(text == 0, 6, text)
    for draw, condition, other in (
        (generator.generate_codes, text, longer),
        (generator.generate_text, codes, codes[::-1]),
    ):
        traces.clear()
        draw(condition, top_k=3)
        draw(other, top_k=[2, 5], seed=4, temperature=0.5)
        draw(condition, top_p=0.5, seed=[8, 9])
        draw(condition, top_p=0.9, top_k=2, temperature=[0.0, 2.0])
        assert len(traces) == 1
        draw(condition)
        draw(other, temperature=3.0)
        assert len(traces) == 2
        draw(condition, guidance_scale=1.5)
        draw(other, guidance_scale=[0.0, 3.0], seed=1)
        assert len(traces) == 3


def test_a_prime_is_kept_and_continued():
    generator = make_generator(BidirectionalTransformer)
    text, codes = make_rows()
    stacks = ops.convert_to_numpy(generator.head.to_positions(codes))
    uniforms = ops.convert_to_tensor(row_uniforms([0, 1], (16, 1)))

    def sample(prime):
        return ops.convert_to_numpy(
            Sequential().codes(
                generator,
                ops.convert_to_tensor(text),
                uniforms,
                ops.convert_to_tensor(prime),
                settings(2),
            )
        )

    primed = sample(stacks[:, :8])
    np.testing.assert_array_equal(primed[:, :8], stacks[:, :8])
    # An image primed with its own beginning is the same image again.
    free = sample(stacks[:, :0])
    np.testing.assert_array_equal(sample(free[:, :8]), free)


def test_nothing_follows_the_end_of_a_caption():
    generator = make_generator(BidirectionalTransformer)
    _, codes = make_rows(8)
    legal = np.full(WORDS + TEXT, -1e9, "float32")
    legal[[2, 5, 6]] = 0.0
    text = ops.convert_to_numpy(
        Sequential().text(
            generator,
            generator.head.to_positions(codes),
            ops.convert_to_tensor(row_uniforms(range(8), (TEXT,))),
            ops.convert_to_tensor(legal),
            settings(8, temperature=50.0),
        )
    )
    assert (text[:, 0] == 1).all()
    ended = (text == 2).argmax(axis=1)
    assert (ended > 0).any()
    for row, end in zip(text, ended, strict=True):
        if end:
            assert (row[end + 1 :] == 0).all()
        assert set(row[1:]) <= {0, 2, 5, 6}
