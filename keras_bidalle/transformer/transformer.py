"""The causal transformer over a row, whole or one position at a time."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.transformer.layer_calls import (
    LayerCalls,
    decoding_dtype,
    prompt_calls,
)
from keras_bidalle.transformer.places import Places
from keras_bidalle.transformer.token_convolution import TokenConvolution
from keras_bidalle.transformer.transformer_block import (
    make_blocks,
    make_norm,
)
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Transformer(TransformerLayer):
    """A convolution over neighboring tokens, blocks, and a norm.

    Args:
        width: int, channels d of the residual stream.
        depth: int, number of blocks.
        num_heads: int.
        token_kernel_size: int, positions that a short causal convolution
            over the embedded row reaches (see `TokenConvolution`), which
            makes learning which words belong together several times faster;
            1 for no convolution.
        final_norm: bool, whether a norm follows the blocks.
        block: dict of further arguments of `TransformerBlock`.

    Call arguments:
        x: tensor (B, S, d), embedded rows.
        places: `Places` of the rows.
        training: bool.

    Returns:
        tensor (B, S, d).
    """

    def __init__(
        self,
        width: int,
        depth: int,
        num_heads: int,
        token_kernel_size: int = 1,
        final_norm: bool = True,
        block: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(width=width, depth=depth, num_heads=num_heads)
        self.width = width
        self.depth = depth
        self.num_heads = num_heads
        self.token_kernel_size = token_kernel_size
        self.final_norm = final_norm
        self.block = dict(block or {})
        dtype = self.dtype_policy
        self.token_convolution = TokenConvolution(
            token_kernel_size, dtype=dtype, name="token_convolution"
        )
        self.blocks = make_blocks(
            depth, "block", width, num_heads, **self.block, dtype=dtype
        )
        self.norm = (
            make_norm(self.blocks[0].normalization, dtype=dtype, name="norm")
            if final_norm
            else layers.Identity(dtype=dtype, name="no_norm")
        )

    def build(self, input_shape: Any = None) -> None:
        stream = (None, None, self.width)
        self.token_convolution.build(stream)
        for block in self.blocks:
            block.build(stream)
        self.norm.build(stream)

    def call(self, x: Any, places: Places, training: bool | None = None) -> Any:
        x = self.token_convolution(x)
        rotation = places.rotation()
        for block, mask in zip(self.blocks, places.masks(), strict=True):
            x = block(
                x, attention_bias=mask, rotation=rotation, training=training
            )
        return self.norm(x)

    def prefill(self, x: Any, places: Places, length: int) -> tuple:
        """Runs the first n positions of rows of one direction, (B, n, d).

        Returns:
            Tuple of the last position's output before the norm, (B, 1, d),
            and the caches: the token convolution's, then one of each block,
            with the room that the places have, or up to the end of the
            first of `kv_cache.block_ends`, where whole rows have `length`.
        """
        n = x.shape[1]
        room = places.room or kv_cache.block_ends(n, length)[0]
        rotation, run = places.rotation(n), prompt_calls()
        x, recent = self.token_convolution.prefill(x)
        caches = [recent]
        for block, mask, window in zip(
            self.blocks, places.prompt_masks(n), places.windows, strict=True
        ):
            x, cache = block.prefill(x, mask, room, rotation, window, run)
            caches.append(cache)
        dtype = decoding_dtype(self.compute_dtype)
        return keras.tree.map_structure(
            lambda part: ops.cast(part, dtype), (x[:, -1:], tuple(caches))
        )

    def extend(self, x: Any, caches: tuple, places: Places, given: int) -> Any:
        """Runs the next n positions at once, (B, n, d), after the norm.

        `caches` are those of the prompt, `given` positions of U rows, each of
        which B / U rows go on from; `places` those of the B rows.
        """
        end = given + x.shape[1]
        masks, rotation = places.masks(end), places.rotation()
        if rotation is not None:
            rotation = tuple(part[:, :, given:end] for part in rotation)
        recent, *filled = caches
        recent = ops.repeat(recent, x.shape[0] // recent.shape[0], axis=0)
        x, _ = self.token_convolution.decode(x, ops.cast(recent, x.dtype))
        for block, cache, mask in zip(self.blocks, filled, masks, strict=True):
            x = block.extend(x, cache, mask[..., given:, :], rotation)
        return self.norm(x)

    def decode(
        self,
        x: Any,
        caches: tuple,
        places: Places,
        index: Any,
        run: LayerCalls,
    ) -> tuple:
        """Runs positions against the caches that `prefill` gave.

        Args:
            x: tensor (B, n, d), n more than 1 only where the places have
                room.
            caches, places: those of `prefill`.
            index: int or int scalar tensor, the first of the positions.
            run: `LayerCalls`, how layers are called.

        Returns:
            Tuple of the outputs before the norm, (B, n, d), and the caches.
        """
        index, n = kv_cache.known_index(index), x.shape[1]
        masks = places.masks_at(index, n)
        rotation = places.rotation_at(index, n)
        recent, *filled = caches
        x = ops.cast(x, recent.dtype)
        x, recent = self.token_convolution.decode(x, recent)
        updated = [recent]
        for block, cache, mask, window in zip(
            self.blocks, filled, masks, places.windows, strict=True
        ):
            x, cache = block.decode(
                x, cache, index, mask, rotation, window, run
            )
            updated.append(cache)
        return x, tuple(updated)
