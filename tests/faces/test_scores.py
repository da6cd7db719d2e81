"""Identification and error rates, by hand and by brute force."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.faces import distances, equal_error_rate, identify


def test_distances_by_hand():
    found = distances(np.array([[0.0, 0], [3, 4]], np.float32), np.array([[3.0, 4]], np.float32))
    np.testing.assert_array_equal(found, [[5], [0]])


def test_identify_by_hand():
    nearest, distance = identify(np.array([[0.0], [10], [20]]), np.array([[12.0], [1], [18]]))
    assert nearest.tolist() == [1, 0, 2]
    assert distance.tolist() == [2, 1, 2]


def test_people_far_apart_have_no_errors():
    rate, threshold = equal_error_rate(np.array([[0.0], [1], [10], [11]]), np.array([0, 0, 1, 1]))
    assert rate == 0
    assert threshold == 1


def test_error_rate_by_hand():
    """Pairs of one person at 1 and 9; of two persons at 4, 5, 13 and 14: at 5 half of each kind are wrong."""
    faces, people = np.array([[0.0], [1], [5], [14]]), np.array([0, 0, 1, 1])
    rate, threshold = equal_error_rate(faces, people)
    assert threshold == 5
    assert rate == (0.5 + 0.5) / 2


@pytest.mark.parametrize("seed", range(5))
def test_error_rate_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 6, 30)
    faces = rng.normal(size=(6, 8))[people] + rng.normal(size=(30, 8))
    pairs = [(i, j) for i in range(30) for j in range(i)]
    length = {(i, j): float(np.linalg.norm(faces[i] - faces[j])) for i, j in pairs}
    same = [pair for pair in pairs if people[pair[0]] == people[pair[1]]]
    other = [pair for pair in pairs if people[pair[0]] != people[pair[1]]]
    best = min(
        (abs(refused - accepted), (refused + accepted) / 2)
        for threshold in length.values()
        for refused in [np.mean([length[p] > threshold + 1e-9 for p in same])]
        for accepted in [np.mean([length[p] <= threshold + 1e-9 for p in other])]
    )
    rate, threshold = equal_error_rate(faces, people)
    assert rate == pytest.approx(best[1], abs=1e-12)
    assert any(threshold == pytest.approx(value) for value in length.values())


@pytest.mark.parametrize("people", [[0, 0, 0], [0, 1, 2]])
def test_pairs_of_both_kinds_are_needed(people):
    with pytest.raises(ShapeError, match=r"^equal_error_rate: needs two faces of one person and two of different"):
        equal_error_rate(np.zeros((3, 2)), np.array(people))
