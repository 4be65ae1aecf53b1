"""The decode loop: prefill a prompt, then one compiled step a position.

Both functions are pure functions of a generator's weights and their tensor
arguments, with static shapes throughout, for `compiled.compiled`; only the
number of rows may be unknown, in a graph that is exported. They differ in
what they emit: stacks of codes, or tokens of a caption that ends.
"""

from keras import ops

from keras_bidalle.generators.sampling import guide, sample_tokens
from keras_bidalle.generators.segments import GEN, REF


def generate_codes(generator, text, uniforms, prime, settings):
    """Continues pictures, given captions.

    Args:
        generator: `BidirectionalTransformer`.
        text: int32 tensor (B, T).
        uniforms: float32 tensor (B, P, c), the random numbers.
        prime: int32 tensor (B, n, c), the first n positions of each
            picture, n < P; n may be 0.
        settings: dict of tensors (B,), or (B, c) with a value for each code
            of a stack: `temperature`, and any of `top_k`, `top_p`,
            `guidance_scale`.

    Returns:
        int32 tensor (B, P, c), `prime` first.
    """
    given = prime.shape[1]
    batch = ops.shape(text)[0]
    guided = "guidance_scale" in settings

    parts = [generator.embed_text(text, REF)]
    if guided:
        null = generator.embed_null(batch, True, REF)
        parts = [ops.concatenate([parts[0], null])]
    if given:
        parts.append(_twice(generator.embed_image(prime, GEN), guided))
    padding = _hidden_text(generator, text, guided)
    x, caches, places = _prefill(
        generator, ops.concatenate(parts, axis=1), True, padding
    )

    def codes_at(position, x):
        numbers = ops.take(uniforms, position, axis=1)

        def draw(logits, place):
            return _draw(logits, numbers[:, place], _at(settings, place))

        return generator.sample_codes(generator.final_norm(x)[:, 0], draw)

    def step(position, x, stacks, caches):
        codes = codes_at(position, x)
        stacks = _put(stacks, codes, position)
        x = generator.embed_codes(codes[:, None])
        x = x + ops.take(generator.position_vectors(), position, axis=0)
        x = _twice(x + generator._segment(GEN), guided)
        x, caches = _decode(
            generator, x, caches, places, generator.text_length + position
        )
        return position + 1, x, stacks, caches

    stacks = ops.zeros_like(uniforms, dtype="int32")
    if given:
        stacks = ops.concatenate([prime, stacks[:, given:]], axis=1)
    last = generator.num_positions - 1
    position, x, stacks, _ = ops.while_loop(
        lambda position, *_: position < last,
        step,
        (ops.convert_to_tensor(given, "int32"), x[:, -1:], stacks, caches),
    )
    return _put(stacks, codes_at(position, x), position)


def generate_text(generator, stacks, uniforms, legal, settings):
    """Writes captions, given pictures.

    Args:
        generator: `BidirectionalTransformer`.
        stacks: int32 tensor (B, P, c).
        uniforms: float32 tensor (B, T), the random numbers.
        legal: float32 tensor (text_classes,), 0 for tokens that may be written
            and very negative for others.
        settings: as for `generate_codes`, tensors (B,).

    Returns:
        int32 tensor (B, T): the start token, the caption, the end token,
        and pad tokens.
    """
    batch = ops.shape(stacks)[0]
    guided = "guidance_scale" in settings
    x = generator.embed_image(stacks, REF)
    if guided:
        x = ops.concatenate([x, generator.embed_null(batch, False, REF)])
    start = ops.full((batch, 1), generator.start_id, "int32")
    first = _twice(generator.embed_text(start, GEN), guided)
    # What stands after the end where no token is a pad: the end again.
    pad = generator.end_id if generator.pad_id is None else generator.pad_id
    x, caches, places = _prefill(
        generator, ops.concatenate([x, first], axis=1), False, None
    )

    def step(index, x, text, ended, caches):
        logits = generator.text_logits(generator.final_norm(x)[:, 0]) + legal
        token = _draw(logits, ops.take(uniforms, index, axis=1), settings)
        token = ops.where(ended, pad, token)
        ended = ops.logical_or(ended, token == generator.end_id)
        text = _put(text[..., None], token[:, None], index)[..., 0]
        x = ops.take(generator._cast(generator.text_embedding), token, axis=0)
        x = x + ops.take(
            generator._cast(generator.text_position_embedding), index, axis=0
        )
        x = _twice(x[:, None] + generator._segment(GEN), guided)
        x, caches = _decode(
            generator, x, caches, places, generator.num_positions + index
        )
        return index + 1, x, text, ended, caches

    def going(index, x, text, ended, caches):
        # Stops when every caption has ended.
        return ops.logical_and(
            index < generator.text_length,
            ops.logical_not(ops.all(ended)),
        )

    rest = ops.full((batch, generator.text_length - 1), pad, "int32")
    text = ops.concatenate([start, rest], axis=1)
    state = (
        ops.convert_to_tensor(1, "int32"),
        x[:, -1:],
        text,
        ops.zeros((batch,), "bool"),
        caches,
    )
    return ops.while_loop(going, step, state)[2]


def _twice(x, guided):
    return ops.concatenate([x, x]) if guided else x


def _at(settings, place):
    """The settings of one code of a stack, tensors (B,)."""
    return {
        name: value[:, place] if len(value.shape) == 2 else value
        for name, value in settings.items()
    }


def _draw(logits, uniforms, settings):
    if "guidance_scale" in settings:
        logits = guide(logits, settings["guidance_scale"])
    return sample_tokens(
        logits,
        uniforms,
        settings["temperature"],
        settings.get("top_k"),
        settings.get("top_p"),
    )


def _hidden_text(generator, text, guided):
    """Which positions of [caption][image] rows hold pads: (B, S) or None."""
    if not generator.mask_padding:
        return None
    pad = generator.is_padding(text)
    if guided:
        pad = ops.concatenate([pad, ops.zeros_like(pad)])
    seen = ops.zeros((ops.shape(pad)[0], generator.num_positions), "bool")
    return ops.concatenate([pad, seen], axis=1)


def _prefill(generator, x, text_to_image, hidden_keys):
    """Runs the prompt.

    Returns its output, the caches (the token convolution's, then one a
    block), and what each layer must know of places: their masks and how they
    turn queries and keys.
    """
    n = x.shape[1]
    masks = generator.layer_masks(text_to_image, hidden_keys)
    rotation = generator.rotation(text_to_image)
    given = rotation and tuple(part[:, :, :n] for part in rotation)
    x, recent = generator.token_convolution.prefill(x)
    caches = [recent]
    for block, mask in zip(generator.blocks, masks, strict=True):
        x, cache = block.prefill(x, mask[:, :, :n, :n], generator.length, given)
        caches.append(cache)
    return x, tuple(caches), (masks, rotation)


def _decode(generator, x, caches, places, index):
    """Runs one position through all layers, against their caches."""
    masks, rotation = places

    def here(table):
        return ops.take(table, index, axis=2)[:, :, None]

    turned = rotation and tuple(here(part) for part in rotation)
    recent, *caches = caches
    x, recent = generator.token_convolution.decode(x, recent)
    updated = [recent]
    for block, cache, mask in zip(generator.blocks, caches, masks, strict=True):
        x, cache = block.decode(x, cache, index, here(mask), turned)
        updated.append(cache)
    return x, tuple(updated)


def _put(sequence, item, position):
    """Returns `sequence` (B, n, c) with `item` (B, c) at a position."""
    here = ops.arange(sequence.shape[1], dtype="int32") == position
    return ops.where(here[None, :, None], item[:, None], sequence)
