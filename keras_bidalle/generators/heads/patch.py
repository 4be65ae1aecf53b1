"""A patch of neighboring codes at each position."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.generators.heads.stack import StackHead
from keras_bidalle.messages import shown
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PatchHead(StackHead):
    """Predicts the codes of a patch one after the other.

    A two-layer network sees the stream and the codes of the patch before.

    Args:
        num_codes, width: as in `ImageHead`.
        code_shape: tuple (rows, columns) of one image's codes.
        patch_size: int, p; both sides of `code_shape` are multiples of it.
        patch_head_width: int, hidden channels h of the network.
        head_bias: bool, whether logits have biases.

    Raises:
        ValueError: if `patch_size` does not divide `code_shape`.
    """

    kind = "patch"
    shares_kernel = True

    def __init__(
        self,
        num_codes: int,
        code_shape: tuple,
        width: int,
        patch_size: int = 2,
        patch_head_width: int = 192,
        head_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_shape, width, **kwargs)
        if (
            not isinstance(patch_size, int)
            or patch_size < 1
            or any(side % patch_size for side in self.code_shape)
        ):
            raise ValueError(
                "`patch_size` must be a positive integer that divides both "
                "sides of `code_shape`. "
                f"Received: patch_size={shown(patch_size)}, "
                f"code_shape={self.code_shape}"
            )
        check_positive(patch_head_width=patch_head_width)
        self.patch_size = patch_size
        self.patch_head_width = self.head_width = patch_head_width
        self.head_bias = head_bias
        self.patch_head_norm = layers.RMSNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="patch_head_norm"
        )

    @property
    def grid(self) -> Any:
        return tuple(side // self.patch_size for side in self.code_shape)

    @property
    def codes_per_position(self) -> Any:
        return self.patch_size**2

    @property
    def num_kinds(self) -> int:
        return self.num_codes

    def head_norm(self) -> Any:
        return self.patch_head_norm

    def to_positions(self, codes: Any) -> Any:
        rows, columns = self.grid
        p = self.patch_size
        codes = ops.reshape(ops.cast(codes, "int32"), (-1, rows, p, columns, p))
        codes = ops.transpose(codes, (0, 1, 3, 2, 4))
        return ops.reshape(codes, (-1, rows * columns, p * p))

    def from_positions(self, stacks: Any) -> Any:
        rows, columns = self.grid
        p = self.patch_size
        stacks = ops.reshape(stacks, (-1, rows, columns, p, p))
        stacks = ops.transpose(stacks, (0, 1, 3, 2, 4))
        return ops.reshape(stacks, (-1, *self.code_shape))
