"""The Frechet distance between two sets of features, as FID has it."""

import os
import pathlib
from typing import Any

import numpy as np

from keras_bidalle.files import atomic_path

# Eigenvalues below this share of the largest are rounding.
_ROUNDING = np.finfo("float64").eps


class FeatureStatistics:
    """The mean and covariance of features that come in batches.

    What is kept is one matrix in float64, however many features come:
    2048 x 2048 of them are 32 MiB. Statistics of parts of a data set, from
    several processes say, are joined by `merge`.

    Args:
        features: optional array (N, D), the first of them.

    Attributes:
        count: int, features so far; `None` for stored statistics that do
            not tell it, to which none can be added.

    Example:

    ```python
    statistics = FeatureStatistics()
    for images in batches:
        statistics.update(extractor(images).features)
    frechet_distance(statistics, FeatureStatistics.load("reference.npz"))
    ```
    """

    def __init__(self, features: Any = None) -> None:
        self.count: int | None = 0
        self._mean: Any = None
        self._scatter: Any = None
        if features is not None:
            self.update(features)

    def update(self, features: Any) -> None:
        """Adds features.

        Args:
            features: array (N, D), finite.

        Raises:
            ValueError: on another shape, values that are not finite, or
                when these are stored statistics without a count.
        """
        features = checked_features(features)
        if len(features):
            mean = features.mean(axis=0)
            centered = features - mean
            self._join(len(features), mean, centered.T @ centered)

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Adds the features that `other` has seen; returns `self`.

        Raises:
            ValueError: when the two have features of other sizes.
        """
        if other.count is None:
            raise ValueError("`other` must know of how many features it is.")
        if other.count:
            self._join(other.count, other._mean, other._scatter)
        return self

    def _join(self, count: int, mean: Any, scatter: Any) -> None:
        """Chan et al. (1979): no sum is ever larger than it must be."""
        if self.count is None:
            raise ValueError("Stored statistics without a count cannot grow.")
        if self._mean is None:
            self.count = count
            self._mean, self._scatter = mean.copy(), scatter.copy()
            return
        if self._mean.shape != mean.shape:
            raise ValueError(
                f"`features` must have {len(self._mean)} numbers each. "
                f"Received: {len(mean)}"
            )
        total = self.count + count
        step = mean - self._mean
        weight = self.count * count / total
        self._scatter += scatter
        self._scatter += weight * np.outer(step, step)
        self._mean += step * (count / total)
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """float64 array (D,)."""
        self._check_some(1)
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        """float64 array (D, D), normalized by N - 1.

        Raises:
            ValueError: with fewer than two features.
        """
        self._check_some(2)
        if self.count is None:
            return self._scatter
        return self._scatter / (self.count - 1)

    def _check_some(self, least: int) -> None:
        if self.count is not None and self.count < least:
            raise ValueError(
                f"Statistics need at least {least} features. "
                f"Received: {self.count}"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an `.npz` with `mu`, `sigma` and `count`.

        The first two are the names that the published programs read.
        """
        arrays: dict[str, Any] = {"mu": self.mean, "sigma": self.covariance}
        if self.count is not None:
            arrays["count"] = np.asarray(self.count)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "FeatureStatistics":
        """Reads statistics, ours or those of a published program.

        Args:
            path: str or `pathlib.Path` of an `.npz` with `mu` and `sigma`.

        Raises:
            ValueError: when it is damaged or holds something else.
            FileNotFoundError: when there is no such file.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There are no statistics {str(path)!r}.")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean = np.asarray(arrays["mu"], "float64")
                sigma = np.asarray(arrays["sigma"], "float64")
                count = int(arrays["count"]) if "count" in arrays else None
        # A damaged archive raises what zipfile, zlib or NumPy raise.
        except Exception as error:
            raise ValueError(
                f"{path.name} must be an npz with `mu` and `sigma`. "
                f"Received: {type(error).__name__}: {str(error)[:100]}"
            ) from error
        if mean.ndim != 1 or sigma.shape != 2 * mean.shape:
            raise ValueError(
                f"{path.name} must have `mu` (D,) and `sigma` (D, D). "
                f"Received: {mean.shape} and {sigma.shape}"
            )
        found = cls()
        found.count, found._mean = count, mean
        found._scatter = sigma if count is None else sigma * (count - 1)
        return found


def frechet_distance(real: Any, fake: Any) -> float:
    """The squared Frechet distance of the Gaussians of two sets of features.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), in float64. The last
    trace is the sum of the roots of the eigenvalues of A' S2 A, where A A' =
    S1: fewer features than dimensions, where S1 is singular, need no
    rescue. It is biased upwards, the more the fewer the features: compare
    figures of equal numbers.

    Args:
        real, fake: `FeatureStatistics`, or arrays (N, D) of features.

    Returns:
        float, 0 or more.

    Raises:
        ValueError: on other shapes, values that are not finite, or fewer
            than two features.

    Reference:
        Dowson and Landau (1982); Heusel et al., arXiv 1706.08500, Equation 6.
    """
    one, two = (
        x if isinstance(x, FeatureStatistics) else FeatureStatistics(x)
        for x in (real, fake)
    )
    if one.mean.shape != two.mean.shape:
        raise ValueError(
            "`real` and `fake` must be features of one size. "
            f"Received: {len(one.mean)} and {len(two.mean)}"
        )
    first, second = one.covariance, two.covariance
    values, vectors = np.linalg.eigh(first)
    kept = values > values[-1] * len(values) * _ROUNDING
    root = vectors[:, kept] * np.sqrt(values[kept])
    shared = np.linalg.eigvalsh(root.T @ second @ root)
    # What rounding made of zero must not add up through the root.
    least = shared.max(initial=0.0) * len(values) * _ROUNDING
    cross = np.sqrt(shared[shared > least]).sum()
    step = one.mean - two.mean
    distance = step @ step + np.trace(first) + np.trace(second) - 2 * cross
    return max(float(distance), 0.0)


def checked_features(features: Any, name: str = "features") -> np.ndarray:
    """Features as a float64 array (N, D), or a `ValueError`."""
    array = np.asarray(features)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"`{name}` must be numbers of shape (count, size). "
            f"Received: dtype={array.dtype}, shape={array.shape}"
        )
    array = array.astype("float64")
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity")
    return array
