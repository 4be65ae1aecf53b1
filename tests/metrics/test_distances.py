"""Closed forms of the distances between sets of features."""

import numpy as np
import pytest

from keras_bidalle.metrics import (
    FeatureStatistics,
    bootstrap_spread,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)

pytestmark = pytest.mark.any_backend


def gaussian(mean, deviations):
    """Features whose mean and covariance are exactly these."""
    size = len(deviations)
    corners = np.concatenate([np.eye(size), -np.eye(size)])
    scale = np.sqrt((len(corners) - 1) / 2)
    return np.asarray(mean) + scale * corners * np.asarray(deviations)


def test_two_gaussians_of_known_distance():
    one = gaussian([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    two = gaussian([1.0, 1.0, 0.0], [2.0, 2.0, 1.0])
    # Diagonal covariances: |m1 - m2|^2 and the squared steps of deviations.
    expected = (1 + 4) + (1 + 0 + 4)
    np.testing.assert_allclose(frechet_distance(one, two), expected)
    np.testing.assert_allclose(frechet_distance(two, one), expected)


def test_a_rotation_changes_nothing():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 50, 6)) * rng.uniform(1, 3, (2, 1, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(
        frechet_distance(one, two), frechet_distance(one @ turn, two @ turn)
    )


@pytest.mark.parametrize("count", [2, 10, 500])
def test_a_set_is_at_no_distance_from_itself(count):
    features = np.random.default_rng(0).normal(size=(count, 200))
    assert frechet_distance(features, features) < 1e-9 * 200


def test_statistics_stream_and_merge():
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 1.0, (1000, 20)).astype("float32")
    whole = FeatureStatistics(features)
    streamed, replica = FeatureStatistics(), FeatureStatistics()
    for i in range(0, 1000, 96):
        (streamed if i % 192 else replica).update(features[i : i + 96])
    merged = FeatureStatistics().merge(streamed).merge(replica)
    assert merged.count == 1000
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, whole.covariance, atol=1e-12)
    other = rng.normal(size=(300, 20))
    np.testing.assert_allclose(
        frechet_distance(merged, other),
        frechet_distance(features, other),
        rtol=1e-9,
    )


def test_statistics_are_kept(tmp_path):
    features = np.random.default_rng(0).normal(size=(30, 4))
    FeatureStatistics(features).save(tmp_path / "a.npz")
    found = FeatureStatistics.load(tmp_path / "a.npz")
    assert found.count == 30
    assert frechet_distance(found, features) < 1e-12
    found.update(features)
    # Those of published programs tell no count, and cannot grow.
    np.savez(tmp_path / "b.npz", mu=found.mean, sigma=found.covariance)
    stored = FeatureStatistics.load(tmp_path / "b.npz")
    assert frechet_distance(stored, found) < 1e-12
    with pytest.raises(ValueError, match="without a count"):
        stored.update(features)


def test_damaged_statistics_are_named(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match="bad.npz must be an npz"):
        FeatureStatistics.load(path)
    np.savez(path, mu=np.zeros(3), sigma=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"`sigma` \(D, D\)"):
        FeatureStatistics.load(path)
    with pytest.raises(FileNotFoundError):
        FeatureStatistics.load(tmp_path / "none.npz")


def test_equal_distributions_have_a_kernel_distance_of_zero_on_average():
    rng = np.random.default_rng(0)
    values = [
        kernel_distance(*rng.normal(size=(2, 40, 8)))[0] for _ in range(200)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0


def test_the_kernel_distance_of_a_hand_worked_set():
    # D = 1: k(x, y) = (x y + 1)^3.
    real, fake = np.asarray([[0.0], [1.0]]), np.asarray([[1.0], [2.0]])
    within = 1.0 + 27.0
    between = (1 + 1 + 8 + 27) / 4
    value, deviation = kernel_distance(real, fake)
    np.testing.assert_allclose(value, within - 2 * between)
    assert deviation == 0.0


def test_subsets_are_drawn_by_the_seed():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 60, 4))
    found = [
        kernel_distance(real, fake, subsets=5, subset_size=20, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]
    assert found[0][1] > 0


def test_the_inception_score_of_sure_and_of_unsure_classifiers():
    sure = np.eye(10)[np.arange(200) % 10]
    np.testing.assert_allclose(inception_score(sure, 4)[0], 10.0)
    unsure = np.full((200, 10), 0.1)
    np.testing.assert_allclose(inception_score(unsure, 4), (1.0, 0.0))
    with pytest.raises(ValueError, match="adding up to 1"):
        inception_score(2 * sure)
    with pytest.raises(ValueError, match="`splits` must be at most"):
        inception_score(sure[:3], 4)


def test_precision_and_recall_of_a_set_by_hand():
    real = np.asarray([[0.0], [1.0], [2.0], [10.0]])
    # Radii with k = 1: 1, 1, 1, 8. The last ball reaches from 2 to 18.
    fake = np.asarray([[0.5], [17.0], [30.0], [31.0]])
    # Radii of fake: 16.5, 13, 1, 1: balls to -16..17, 4..30, ...
    found = precision_recall(real, fake, k=1)
    assert found == {"precision": 0.5, "recall": 1.0}


def test_density_and_coverage_of_a_set_by_hand():
    real = np.asarray([[0.0], [1.0], [2.0], [10.0]])
    fake = np.asarray([[0.5], [0.6], [17.0]])
    found = density_coverage(real, fake, k=1)
    # 0.5 and 0.6 lie in two balls each, 17 in one.
    np.testing.assert_allclose(found["density"], 5 / 3)
    # The ball around 2 is open at 1 and holds none.
    np.testing.assert_allclose(found["coverage"], 3 / 4)


def test_equal_sets_are_covered():
    features = np.random.default_rng(0).normal(size=(600, 3))
    found = precision_recall(features, features)
    assert found == {"precision": 1.0, "recall": 1.0}
    assert density_coverage(features, features)["coverage"] == 1.0


@pytest.mark.parametrize(
    "measure", [frechet_distance, kernel_distance, precision_recall]
)
def test_what_is_no_features_is_refused(measure):
    good = np.zeros((5, 2))
    for bad in (np.zeros(5), np.full((5, 2), np.nan), np.zeros((5, 3))):
        with pytest.raises(ValueError, match="must be"):
            measure(good, bad)


def test_the_spread_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    spread = bootstrap_spread(
        lambda rows: float(values[rows].mean()), 400, replicates=400
    )
    np.testing.assert_allclose(spread, values.std() / 20, rtol=0.15)
