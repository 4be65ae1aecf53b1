"""The decode loops: prefill a prompt, then one compiled step a position.

Pure functions of a generator's weights and their tensor arguments, for
`compiled.compiled`. They differ in what they emit: stacks of codes, or tokens
of a caption that ends. A generator is asked for its parts: `layout`,
`embedding`, `captions`, `head` and `transformer`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_bidalle.sampling.sampler import draw_tokens, stack_drawer
from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.layer_calls import layer_calls
from keras_bidalle.transformer.row_layout import Places
from keras_bidalle.transformer.segments import GEN, REF


class Progress(NamedTuple):
    """Images of which the first positions are drawn.

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


def image_places(generator: Any, text: Any, guided: bool = False) -> Places:
    """`Places` of [caption][image] rows, each twice where `guided`."""
    padding = generator.captions.is_padding(text)
    if guided:
        # A condition that is absent has no pads.
        padding = ops.concatenate([padding, ops.zeros_like(padding)])
    return generator.layout.places(True, generator.compute_dtype, padding)


def caption_places(generator: Any) -> Places:
    """`Places` of [image][caption] rows."""
    return generator.layout.places(False, generator.compute_dtype)


def embedded_text(generator: Any, text: Any, segment: int) -> Any:
    """Embeds the first n tokens of captions: int (B, n) to (B, n, d)."""
    vectors = generator.captions.embed(text)
    return generator.embedding.add(vectors, True, segment)


def embedded_image(generator: Any, stacks: Any, segment: int) -> Any:
    """Embeds the first n stacks of images: int (B, n, c) to (B, n, d)."""
    vectors = generator.head.embed(stacks)
    return generator.embedding.add(vectors, False, segment)


def calls_of(generator: Any, x: Any) -> Any:
    """How layers are called at every step: `LayerCalls` for rows `x`."""
    blocks = [*generator.transformer.blocks, *generator.head.decoded_blocks()]
    return layer_calls(blocks, x.shape[0])


def generate_codes(
    generator: Any, text: Any, uniforms: Any, prime: Any, settings: dict
) -> Any:
    """Continues images, given captions.

    Args:
        generator: `Generator`.
        text: int32 tensor (B, T).
        uniforms: float32 tensor (B, P, c), the random numbers.
        prime: int32 tensor (B, n, c), the first n positions of each
            image, n < P; n may be 0.
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


def block_stops(generator: Any, given: int) -> list[int]:
    """The positions before which `continue_codes` has to stop.

    Args:
        generator: `Generator`.
        given: int, positions of the prime.

    Returns:
        list of int, ascending, the last one P.
    """
    layout = generator.layout
    ends = kv_cache.block_ends(layout.text_length + given, layout.length)
    return [end - layout.text_length for end in ends]


def begin_codes(
    generator: Any, text: Any, prime: Any, settings: dict
) -> Progress:
    """Runs the prompt of images.

    Args:
        generator, text, prime, settings: as in `generate_codes`.

    Returns:
        `Progress`, with room in the caches up to the first of `block_stops`.
    """
    given = prime.shape[1]
    batch = ops.shape(text)[0]
    guided = "guidance_scale" in settings

    parts = [embedded_text(generator, text, REF)]
    if guided:
        absent = generator.embedding.absent(batch, True, REF)
        parts = [ops.concatenate([parts[0], absent])]
    if given:
        parts.append(_twice(embedded_image(generator, prime, GEN), guided))
    x, caches = generator.transformer.prefill(
        ops.concatenate(parts, axis=1),
        image_places(generator, text, guided),
        generator.layout.length,
    )
    rest = (batch, generator.layout.num_positions - given, prime.shape[2])
    stacks = ops.concatenate([prime, ops.zeros(rest, "int32")], axis=1)
    position = ops.convert_to_tensor(given, "int32")
    return Progress(position, x, stacks, caches)


def continue_codes(
    generator: Any,
    text: Any,
    uniforms: Any,
    settings: dict,
    progress: Progress,
    stop: Any,
) -> Progress:
    """Draws the next positions of images.

    Args:
        generator, text, uniforms, settings: as in `generate_codes`.
        progress: `Progress`.
        stop: int or int32 scalar tensor, the position to stop before, for
            which the caches have room.

    Returns:
        `Progress`.
    """
    guided = "guidance_scale" in settings
    head, transformer = generator.head, generator.transformer
    places = image_places(generator, text, guided)
    run = calls_of(generator, progress.x)
    vectors = generator.embedding.places(False, GEN)
    first = generator.layout.text_length

    def draw_codes(x, position):
        draw = stack_drawer(ops.take(uniforms, position, axis=1), settings)
        hidden = run(transformer.norm, x)[:, 0]
        return head.draw(hidden, draw, run)

    def step(state, caches):
        position, x, stacks = state
        codes = draw_codes(x, position)
        stacks = _put(stacks, codes, position)
        x = head.embed(codes[:, None])
        x = _twice(x + ops.take(vectors, position, axis=0), guided)
        x, caches = transformer.decode(x, caches, places, first + position, run)
        return (position + 1, x, stacks), caches

    state, caches = _loop(
        lambda position, *_: position < stop,
        step,
        (progress.position, progress.x, progress.stacks),
        progress.caches,
    )
    position, x, stacks = state
    return Progress(position, x, stacks, caches)


def extend_codes(generator: Any, progress: Progress, stop: int) -> Progress:
    """Gives the caches room up to `stop`, the next of `block_stops`."""
    length = generator.layout.text_length + stop
    windows = generator.layout.windows(True)
    caches = kv_cache.extend_caches(progress.caches, length, windows)
    return progress._replace(caches=caches)


def generate_text(
    generator: Any, stacks: Any, uniforms: Any, legal: Any, settings: dict
) -> Any:
    """Writes captions, given images.

    Args:
        generator: `Generator`.
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
    captions, transformer = generator.captions, generator.transformer
    embedding, layout = generator.embedding, generator.layout
    x = embedded_image(generator, stacks, REF)
    if guided:
        x = ops.concatenate([x, embedding.absent(batch, False, REF)])
    start = ops.full((batch, 1), captions.start_id, "int32")
    first = _twice(embedded_text(generator, start, GEN), guided)
    # What stands after the end where no token is a pad: the end again.
    pad = captions.end_id if captions.pad_id is None else captions.pad_id
    places = caption_places(generator)
    x, caches = transformer.prefill(
        ops.concatenate([x, first], axis=1), places, layout.length
    )
    run = calls_of(generator, x)
    vectors = embedding.places(True, GEN)

    def step(state, caches):
        index, x, text, ended = state
        hidden = run(transformer.norm, x)[:, 0]
        logits = captions.logits(hidden) + legal
        token = draw_tokens(logits, ops.take(uniforms, index, axis=1), settings)
        token = ops.where(ended, pad, token)
        ended = ops.logical_or(ended, token == captions.end_id)
        text = _put(text[..., None], token[:, None], index)[..., 0]
        x = captions.embed_drawn(token) + ops.take(vectors, index, axis=0)
        x, caches = transformer.decode(
            _twice(x[:, None], guided),
            caches,
            places,
            layout.num_positions + index,
            run,
        )
        return (index + 1, x, text, ended), caches

    rest = ops.full((batch, layout.text_length - 1), pad, "int32")
    text = ops.concatenate([start, rest], axis=1)
    state = (
        ops.convert_to_tensor(1, "int32"),
        x,
        text,
        ops.zeros((batch,), "bool"),
    )
    prompt = layout.num_positions + 1
    for end in kv_cache.block_ends(prompt, layout.length):
        stop = end - layout.num_positions

        def going(index, x, text, ended, stop=stop):
            # Stops when every caption has ended.
            return ops.logical_and(
                index < stop, ops.logical_not(ops.all(ended))
            )

        caches = kv_cache.extend_caches(caches, end, places.windows)
        state, caches = _loop(going, step, state, caches)
    return state[2]


def _twice(x, guided):
    return ops.concatenate([x, x]) if guided else x


def _put(sequence, item, position):
    """Returns `sequence` (B, n, c) with `item` (B, c) at a position."""
    here = ops.arange(sequence.shape[1], dtype="int32") == position
    return ops.where(here[None, :, None], item[:, None], sequence)


def _loop(going: Callable, step: Callable, state: Any, caches: Any) -> tuple:
    """Steps that change a state and the last block of each cache.

    Args:
        going: function of the state to a bool.
        step: function of the state and the caches to both.
        state: tuple of tensors.
        caches: tuple, as `Transformer.prefill` gives it.

    Returns:
        Tuple of the state and the caches.
    """
    full = [cache[:-1] for cache in caches[1:]]

    def changing(caches):
        recent, *filled = caches
        return recent, tuple(cache[-1] for cache in filled)

    def whole(recent, last):
        blocks = zip(full, last, strict=True)
        return (recent, *((*before, block) for before, block in blocks))

    def body(*variables):
        *state, recent, last = variables
        state, caches = step(state, whole(recent, last))
        return (*state, *changing(caches))

    *state, recent, last = ops.while_loop(
        lambda *variables: going(*variables[:-2]),
        body,
        (*state, *changing(caches)),
    )
    return tuple(state), whole(recent, last)
