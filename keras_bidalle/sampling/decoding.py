"""The decode loop: prefill a prompt, then one compiled step a position.

Both functions are pure (see `decode_loop`), for `compiled.compiled`. They
differ in what they emit: stacks of codes, or tokens of a caption that ends.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_bidalle.sampling import decode_loop
from keras_bidalle.sampling.sampler import draw_tokens
from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.layer_calls import layer_calls
from keras_bidalle.transformer.segments import GEN, REF


class Progress(NamedTuple):
    """Pictures of which the first positions are drawn.

    Attributes:
        position: int32 scalar tensor, how many are.
        x: tensor (B, 1, d), or (2 B, 1, d) under guidance, the stream at the
            position before.
        stacks: int32 tensor (B, P, c), zeros where nothing is drawn yet.
        caches: tuple, the token convolution's, then one of each block (see
            `kv_cache`).
    """

    position: Any
    x: Any
    stacks: Any
    caches: tuple


def generate_codes(generator, text, uniforms, prime, settings):
    """Continues pictures, given captions.

    Args:
        generator: `BidirectionalTransformer`.
        text: int32 tensor (B, T).
        uniforms: float32 tensor (B, P, c), the random numbers.
        prime: int32 tensor (B, n, c), the first n positions of each
            picture, n < P; n may be 0.
        settings: dict of tensors (B,), or (B, c) with a value for each code
            of a stack, as `settings.checked_settings` gives them.

    Returns:
        int32 tensor (B, P, c), `prime` first.
    """
    progress = begin_codes(generator, text, prime, settings)
    for stop in block_stops(generator, prime.shape[1]):
        progress = continue_codes(
            generator,
            text,
            uniforms,
            settings,
            extend_codes(generator, progress, stop),
            stop,
        )
    return progress.stacks


def block_stops(generator, given):
    """The positions before which `continue_codes` has to stop.

    Args:
        generator: `BidirectionalTransformer`.
        given: int, positions of the prime.

    Returns:
        list of int, ascending, the last one P.
    """
    length = generator.text_length
    ends = kv_cache.block_ends(length + given, generator.length)
    return [end - length for end in ends]


def begin_codes(generator, text, prime, settings):
    """Runs the prompt of pictures.

    Args:
        generator, text, prime, settings: as of `generate_codes`.

    Returns:
        `Progress`, with room in the caches up to the first of `block_stops`.
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
    x, caches = decode_loop.prefill(
        generator,
        ops.concatenate(parts, axis=1),
        decode_loop.picture_places(generator, text, guided),
    )
    rest = (batch, generator.num_positions - given, prime.shape[2])
    stacks = ops.concatenate([prime, ops.zeros(rest, "int32")], axis=1)
    position = ops.convert_to_tensor(given, "int32")
    return Progress(position, x, stacks, caches)


def continue_codes(generator, text, uniforms, settings, progress, stop):
    """Draws the next positions of pictures.

    Args:
        generator, text, uniforms, settings: as of `generate_codes`.
        progress: `Progress`.
        stop: int or int32 scalar tensor, the position to stop before, for
            which the caches have room.

    Returns:
        `Progress`.
    """
    guided = "guidance_scale" in settings
    places = decode_loop.picture_places(generator, text, guided)
    run = layer_calls(generator.decoded_blocks, progress.x.shape[0])
    vectors = generator.position_vectors() + generator._segment(GEN)[0]

    def draw_codes(x, position):
        numbers = ops.take(uniforms, position, axis=1)

        def draw(logits, place):
            return draw_tokens(logits, numbers[:, place], _at(settings, place))

        hidden = run(generator.final_norm, x)[:, 0]
        return generator.sample_codes(hidden, draw, run)

    def step(state, caches):
        position, x, stacks = state
        codes = draw_codes(x, position)
        stacks = _put(stacks, codes, position)
        x = generator.embed_codes(codes[:, None])
        x = _twice(x + ops.take(vectors, position, axis=0), guided)
        x, caches = decode_loop.decode(
            generator, x, caches, places, generator.text_length + position, run
        )
        return (position + 1, x, stacks), caches

    state, caches = decode_loop.loop(
        lambda position, *_: position < stop,
        step,
        (progress.position, progress.x, progress.stacks),
        progress.caches,
    )
    return Progress(*state, caches)


def extend_codes(generator, progress, stop):
    """Gives the caches room up to `stop`, the next of `block_stops`."""
    length = generator.text_length + stop
    windows = decode_loop.layer_windows(generator, True)
    caches = decode_loop.extend(progress.caches, length, windows)
    return progress._replace(caches=caches)


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
    places = decode_loop.caption_places(generator)
    x, caches = decode_loop.prefill(
        generator, ops.concatenate([x, first], axis=1), places
    )
    run = layer_calls(generator.decoded_blocks, x.shape[0])

    embedding = generator._cast(generator.text_embedding)
    vectors = generator._cast(generator.text_position_embedding)
    vectors = vectors + generator._segment(GEN)[0]

    def step(state, caches):
        index, x, text, ended = state
        hidden = run(generator.final_norm, x)[:, 0]
        logits = generator.text_logits(hidden) + legal
        token = draw_tokens(logits, ops.take(uniforms, index, axis=1), settings)
        token = ops.where(ended, pad, token)
        ended = ops.logical_or(ended, token == generator.end_id)
        text = _put(text[..., None], token[:, None], index)[..., 0]
        x = ops.take(embedding, token, axis=0)
        x = x + ops.take(vectors, index, axis=0)
        x, caches = decode_loop.decode(
            generator,
            _twice(x[:, None], guided),
            caches,
            places,
            generator.num_positions + index,
            run,
        )
        return (index + 1, x, text, ended), caches

    rest = ops.full((batch, generator.text_length - 1), pad, "int32")
    text = ops.concatenate([start, rest], axis=1)
    state = (
        ops.convert_to_tensor(1, "int32"),
        x,
        text,
        ops.zeros((batch,), "bool"),
    )
    prompt = generator.num_positions + 1
    for end in kv_cache.block_ends(prompt, generator.length):
        stop = end - generator.num_positions

        def going(index, x, text, ended, stop=stop):
            # Stops when every caption has ended.
            return ops.logical_and(
                index < stop, ops.logical_not(ops.all(ended))
            )

        caches = decode_loop.extend(caches, end, places.windows)
        state, caches = decode_loop.loop(going, step, state, caches)
    return state[2]


def _twice(x, guided):
    return ops.concatenate([x, x]) if guided else x


def _at(settings, place):
    """The settings of one code of a stack, tensors (B,)."""
    return {
        name: value[:, place] if len(value.shape) == 2 else value
        for name, value in settings.items()
    }


def _put(sequence, item, position):
    """Returns `sequence` (B, n, c) with `item` (B, c) at a position."""
    here = ops.arange(sequence.shape[1], dtype="int32") == position
    return ops.where(here[None, :, None], item[:, None], sequence)
