"""Random numbers: the published vectors, independence of how they are asked for, and their distributions."""

import itertools
import math
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from minicnn import random
from minicnn.errors import DTypeError, ShapeError
from minicnn.random import Generator, philox_words

PHILOX_VECTORS = [  # philox4x32-10 of the Random123 distribution: counter, key, words
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
ADDRESS: dict[str, Any] = {"seed": 3, "stream": random.AUGMENT, "call": 5}
COUNT = 200_000


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def philox_by_hand(counter: list[int], key: list[int]) -> list[int]:
    """The paper's formula in Python's whole numbers, one counter at a time."""
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        low = (1 << 32) - 1
        counter = [(b >> 32) ^ counter[1] ^ key[0], b & low, (a >> 32) ^ counter[3] ^ key[1], a & low]
        key = [(key[0] + 0x9E3779B9) & low, (key[1] + 0xBB67AE85) & low]
    return counter


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX_VECTORS)
def test_the_published_vectors(counter: str, key: str, expected: str) -> None:
    k0, k1 = numbers(key)
    assert [int(word) for word in random.philox_4x32(numbers(counter), (k0, k1))] == numbers(expected)
    assert philox_by_hand(numbers(counter), numbers(key)) == numbers(expected)


def test_the_published_vectors_as_words_of_a_sequence() -> None:
    """The all-ones and the π vector also pin which argument goes where in counter and key."""
    for counter, key, expected in PHILOX_VECTORS:
        (b0, b1, call, stream), (k0, k1) = numbers(counter), numbers(key)
        start = 4 * (b0 | b1 << 32)
        assert philox_words(k0 | k1 << 32, stream, call, start, 4).tolist() == numbers(expected)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**66 - 9))
def test_any_word_is_the_papers(seed: int, stream: int, call: int, start: int) -> None:
    expected = []
    for i in range(start, start + 7):
        block = i // 4
        counter = [block % 2**32, block >> 32, call, stream]
        expected.append(philox_by_hand(counter, [seed % 2**32, seed >> 32])[i % 4])
    words = philox_words(seed, stream, call, start, 7)
    assert words.dtype == np.uint32
    assert words.tolist() == expected


def test_a_part_of_a_sequence_is_that_slice_of_it() -> None:
    edge = 4 * 8192  # where one round of blocks ends and the next begins
    whole = philox_words(7, 1, 2, 0, 3 * edge)
    for start, count in itertools.product(
        (0, 1, 2, 3, 4, 5, edge - 3, edge, edge + 2), (0, 1, 3, 4, 5, 17, edge, edge + 5)
    ):
        assert np.array_equal(philox_words(7, 1, 2, start, count), whole[start : start + count])


def test_blocks_beyond_32_bits() -> None:
    start = 4 * (2**32 - 2)
    both = philox_words(1, 2, 3, start, 16)
    assert np.array_equal(both[8:], philox_words(1, 2, 3, 4 * 2**32, 8))


@pytest.mark.parametrize(
    "draw",
    [
        lambda n, start: random.uniform(n, start=start, **ADDRESS),
        lambda n, start: random.normal(n, start=start, **ADDRESS),
        lambda n, start: random.bernoulli(0.3, n, start=start, **ADDRESS),
    ],
)
def test_distributions_do_not_depend_on_how_much_is_drawn(draw: Any) -> None:
    whole = draw(100_000, 0)
    assert np.array_equal(draw(70_001, 0), whole[:70_001])
    assert np.array_equal(draw(999, 32_770), whole[32_770:33_769])


def sequences() -> list[np.ndarray]:
    addresses = [(0, 0, 0), (1, 0, 0), (2**32, 0, 0), (0, 1, 0), (0, 2, 0), (0, 0, 1), (0, 0, 2), (2**64 - 1, 0, 0)]
    return [philox_words(*address, 0, COUNT) for address in addresses]


def test_sequences_are_uncorrelated() -> None:
    """A correlation of independent numbers has standard deviation 1/√n; none of 28 pairs reaches 4.5 of them."""
    correlation = np.corrcoef(np.array(sequences(), np.float64))
    off_diagonal = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.abs(off_diagonal).max() < 4.5 / math.sqrt(COUNT)


def test_neighbours_are_uncorrelated_and_bits_balanced() -> None:
    for words in sequences():
        centred = words / 2**32 - 0.5
        for lag in (1, 2, 3, 4, 8):
            assert abs(np.mean(centred[lag:] * centred[:-lag])) * 12 < 4.5 / math.sqrt(COUNT)
        ones = ((words[:, None] >> np.arange(32, dtype=np.uint32)) & 1).mean(axis=0)
        assert np.abs(ones - 0.5).max() < 4.5 * 0.5 / math.sqrt(COUNT)


def kolmogorov_distance(values: np.ndarray, distribution: np.ndarray) -> float:
    """√n · sup |empirical − F|; above 2.3 for one sample in 20,000. `distribution` is F at the sorted values."""
    steps = np.arange(len(values) + 1) / len(values)
    return float(max(np.abs(steps[1:] - distribution).max(), np.abs(steps[:-1] - distribution).max())) * math.sqrt(
        len(values)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform(dtype: Any) -> None:
    values = random.uniform((COUNT // 4, 4), low=-2, high=6, dtype=dtype, **ADDRESS)
    assert values.shape == (COUNT // 4, 4)
    assert values.dtype == dtype
    assert values.min() >= -2
    assert values.max() < 6
    assert abs(values.mean() - 2) < 4.5 * 8 / math.sqrt(12 * COUNT)
    assert abs(values.var() - 64 / 12) < 4.5 * 64 * math.sqrt(1 / 180 / COUNT)
    ordered = np.sort(values, axis=None).astype(np.float64)
    assert kolmogorov_distance(ordered, (ordered + 2) / 8) < 2.3


def test_uniform_is_the_word_as_a_fraction() -> None:
    words = philox_words(3, random.AUGMENT, 5, 0, 10)
    assert random.uniform(10, dtype=np.float64, **ADDRESS).tolist() == [int(w) / 2**32 for w in words]
    assert np.array_equal(random.uniform(10, **ADDRESS), (words / 2**32).astype(np.float32))


def test_uniform_never_reaches_its_upper_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 − 2⁻³² is 1 in float32."""
    full = lambda seed, stream, call, start, count: np.full(count, 0xFFFFFFFF, np.uint32)
    monkeypatch.setattr(random, "philox_words", full)
    assert random.uniform(1, **ADDRESS)[0] == np.nextafter(np.float32(1), np.float32(0))
    assert random.uniform(1, low=1e6, high=1e6 + 1, dtype=np.float64, **ADDRESS)[0] < 1e6 + 1
    assert random.uniform(2, low=90, high=90, **ADDRESS).tolist() == [90, 90]


def test_normal() -> None:
    values = random.normal(COUNT, mean=3, std=2, dtype=np.float64, **ADDRESS)
    standard = (values - 3) / 2
    assert abs(standard.mean()) < 4.5 / math.sqrt(COUNT)
    assert abs(standard.var() - 1) < 4.5 * math.sqrt(2 / COUNT)
    assert abs((standard**3).mean()) < 4.5 * math.sqrt(15 / COUNT)
    assert abs((standard**4).mean() - 3) < 4.5 * math.sqrt(96 / COUNT)
    assert abs(np.mean(standard[0::2] * standard[1::2])) < 4.5 / math.sqrt(COUNT / 2)
    ordered = np.sort(standard)
    assert kolmogorov_distance(ordered, np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in ordered])) < 2.3


def test_normal_is_box_and_muller_of_two_words() -> None:
    first, second = philox_words(3, random.AUGMENT, 5, 0, 2).tolist()
    radius, angle = math.sqrt(-2 * math.log((first + 1) / 2**32)), 2 * math.pi * second / 2**32
    expected = [radius * math.cos(angle), radius * math.sin(angle)]
    assert random.normal(2, dtype=np.float64, **ADDRESS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_normal_is_finite_at_the_extreme_words(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "philox_words", lambda *address: np.full(address[-1], word, np.uint32))
    assert np.isfinite(random.normal(4, **ADDRESS)).all()
    assert np.abs(random.normal(4, **ADDRESS)).max() < 6.7


def test_both_float_types_get_the_same_numbers() -> None:
    for draw in (random.uniform, random.normal):
        wide, narrow = draw(1000, dtype=np.float32, **ADDRESS), draw(1000, dtype=np.float64, **ADDRESS)
        assert np.array_equal(wide, narrow.astype(np.float32))


def test_integers() -> None:
    values = random.integers(-3, 4, (COUNT,), **ADDRESS)
    assert values.dtype == np.int64
    assert sorted(set(values.tolist())) == list(range(-3, 4))
    expected = COUNT / 7
    chi_squared = sum((int((values == k).sum()) - expected) ** 2 / expected for k in range(-3, 4))
    assert chi_squared < 27.9  # 6 degrees of freedom: 1 sample in 10,000


@pytest.mark.parametrize(("low", "span"), [(0, 1), (5, 7), (-(2**40), 2**32), (2**40, 2**32 - 1)])
def test_integers_are_the_upper_half_of_the_product(low: int, span: int) -> None:
    words = philox_words(3, random.AUGMENT, 5, 0, 2000).tolist()
    expected = [low + (span * (a | b << 32) >> 64) for a, b in zip(words[0::2], words[1::2])]
    assert random.integers(low, low + span, 1000, **ADDRESS).tolist() == expected


def test_permutation() -> None:
    order = random.permutation(1000, **ADDRESS)
    assert sorted(order.tolist()) == list(range(1000))
    assert np.array_equal(order, random.permutation(1000, **ADDRESS))
    assert not np.array_equal(order, random.permutation(1000, **{**ADDRESS, "call": 6}))
    assert random.permutation(0, **ADDRESS).tolist() == []


def test_all_permutations_are_equally_likely() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for call in range(6000):
        order = tuple(random.permutation(3, seed=1, stream=2, call=call).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 25.7  # 5 degrees of freedom: 1 in 10,000


def test_bernoulli_and_dropout() -> None:
    assert not random.bernoulli(0, COUNT, **ADDRESS).any()
    assert random.bernoulli(1, COUNT, **ADDRESS).all()
    assert abs(random.bernoulli(0.3, COUNT, **ADDRESS).mean() - 0.3) < 4.5 * math.sqrt(0.21 / COUNT)
    assert random.dropout_keep(3, 5, 0.0, 0, COUNT).all()
    assert not random.dropout_keep(3, 5, 1.0, 0, COUNT).any()
    words = philox_words(3, random.DROPOUT, 5, 11, 1000)
    keep = random.dropout_keep(3, 5, 0.25, 11, 1000)
    assert keep.tolist() == [w >= 2**30 for w in words.tolist()]


def test_dropout_compares_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = round(0.3 * 2**32)
    words = np.array([threshold - 1, threshold, threshold + 1, 0, 0xFFFFFFFF], np.uint32)
    monkeypatch.setattr(random, "philox_words", lambda *address: words)
    assert random.dropout_keep(0, 0, 0.3, 0, 5).tolist() == [False, True, True, False, True]


# The state of the process


def test_the_seed_is_zero_until_it_is_set() -> None:
    code = "import minicnn.random as r; print(r.seed(), r.next_call(r.INIT), r.next_call(r.INIT), r.next_call(r.DATA))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "0 (0, 0) (0, 1) (0, 0)"


def test_manual_seed_starts_every_stream_anew() -> None:
    random.next_call(random.INIT)
    mc.manual_seed(2**64 - 1)
    assert random.seed() == 2**64 - 1
    assert random.next_call(random.INIT) == (2**64 - 1, 0)
    assert random.next_call(random.INIT) == (2**64 - 1, 1)
    assert random.next_call(random.DROPOUT) == (2**64 - 1, 0)
    mc.manual_seed(np.int64(5))  # type: ignore[arg-type] # NumPy's whole numbers are taken, too
    assert random.next_call(random.INIT) == (5, 0)
    assert type(random.seed()) is int


def test_state_round_trip() -> None:
    mc.manual_seed(9)
    for _ in range(3):
        random.next_call(random.DROPOUT)
    state = random.get_state()
    assert state == {"seed": 9, **dict.fromkeys(random.STREAMS, 0), "dropout": 3}
    assert all(type(value) is int for value in state.values())
    mc.manual_seed(1)
    random.set_state(state)
    assert random.next_call(random.DROPOUT) == (9, 3)
    assert state["dropout"] == 3
    assert random.next_call(random.INIT) == (9, 0)


def test_no_call_number_is_handed_out_twice() -> None:
    found: list[list[int]] = [[] for _ in range(8)]
    barrier = threading.Barrier(8)

    def draw(mine: list[int]) -> None:
        barrier.wait()
        mine.extend(random.next_call(random.AUGMENT)[1] for _ in range(2000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*found)) == list(range(16_000))
    assert all(mine == sorted(mine) for mine in found)


# Generator


def draws(g: Generator) -> list[np.ndarray]:
    return [
        g.uniform((2, 3), -1, 1), g.normal(3, 1, 2), g.integers(0, 10, (4,)), g.permutation(5), g.bernoulli(0.5, 6),
        g.normal((), dtype=np.float64), g.uniform(3),
    ]  # fmt: skip


def test_equal_generators_draw_equal_numbers() -> None:
    for a, b in zip(draws(Generator(1, 2, 3)), draws(Generator(1, 2, 3))):
        assert np.array_equal(a, b)
    for other in (Generator(2, 2, 3), Generator(1, 3, 3), Generator(1, 2, 4), Generator(1, 2, 3, 100)):
        assert not np.array_equal(other.uniform(6), Generator(1, 2, 3).uniform(6))


def test_a_generator_uses_each_word_once() -> None:
    g = Generator(1, 2, 3)
    for draw, used in (
        (lambda: g.uniform((2, 3)), 6),
        (lambda: g.normal(3), 4),
        (lambda: g.integers(0, 10, 4), 8),
        (lambda: g.permutation(5), 10),
        (lambda: g.bernoulli(0.5, 6), 6),
        (lambda: g.uniform(()), 1),
    ):
        before = g.position
        draw()
        assert g.position == before + used
    words = philox_words(1, 2, 3, g.position, 2) / 2**32
    assert g.uniform(2, dtype=np.float64).tolist() == words.tolist()


def test_a_generator_continues_from_its_state() -> None:
    g = Generator(2**64 - 1, 2)
    draws(g)
    copy = Generator(**g.state())
    for a, b in zip(draws(g), draws(copy)):
        assert np.array_equal(a, b)
    assert repr(Generator(1, 2, 3)) == "Generator(seed=1, stream=2, call=3, position=0)"


def test_generator_of_the_next_call() -> None:
    mc.manual_seed(4)
    first, second = Generator.next(random.AUGMENT), Generator.next(random.AUGMENT)
    assert first.state() == {"seed": 4, "stream": random.AUGMENT, "call": 0, "position": 0}
    assert second.state() == {"seed": 4, "stream": random.AUGMENT, "call": 1, "position": 0}


# Refusals


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: mc.manual_seed(-1), ShapeError, "manual_seed: seed is -1, needs at least 0"),
        (lambda: mc.manual_seed(2**64), ShapeError, f"manual_seed: seed is {2**64}, needs a whole number below 2^64"),
        (lambda: mc.manual_seed(1.0), DTypeError, "manual_seed: seed must be a whole number, got 1.0"),
        (lambda: mc.manual_seed(True), DTypeError, "manual_seed: seed must be a whole number, got True"),
        (lambda: random.next_call(77), ShapeError, "next_call: stream is 77, needs one of {'init': 0"),
        (lambda: random.set_state({"seed": 1}), ShapeError, "set_state: state has ['seed'], needs ['augment', "),
        (
            lambda: random.set_state({**random.get_state(), "init": -2}),
            ShapeError,
            "set_state: init is -2, needs at least 0",
        ),
        (lambda: philox_words(-1, 0, 0, 0, 1), ShapeError, "random numbers: seed is -1, needs at least 0"),
        (lambda: philox_words(0, 2**32, 0, 0, 1), ShapeError, "stream is 4294967296, needs 0 … 2^32 - 1"),
        (lambda: philox_words(0, 0, -1, 0, 1), ShapeError, "random numbers: call is -1, needs 0 … 2^32 - 1"),
        (lambda: philox_words(0, 0, 0, 0, -1), ShapeError, "random numbers: count is -1, needs at least 0"),
        (lambda: Generator(0, 0, 2**32), ShapeError, "random numbers: call is 4294967296"),
        (lambda: random.uniform(-2, **ADDRESS), ShapeError, "uniform: shape is -2, needs at least 0"),
        (lambda: random.uniform(2, low=1, high=0, **ADDRESS), ShapeError, "uniform: low is 1.0, high is 0.0"),
        (lambda: random.uniform(2, high=math.inf, **ADDRESS), ShapeError, "uniform: low is 0.0, high is inf"),
        (lambda: random.uniform(2, dtype=np.int64, **ADDRESS), DTypeError, "uniform: dtype is int64, needs float32"),
        (lambda: random.normal(2, std=-1, **ADDRESS), ShapeError, "normal: std is -1, needs a number in [0, inf]"),
        (lambda: random.integers(3, 3, **ADDRESS), ShapeError, "integers: low 3 and high 3 need 0 < high - low"),
        (lambda: random.integers(0, 2**32 + 1, **ADDRESS), ShapeError, "need 0 < high - low <= 2^32"),
        (lambda: random.permutation(-1, **ADDRESS), ShapeError, "permutation: length is -1, needs at least 0"),
        (lambda: random.bernoulli(1.5, 3, **ADDRESS), ShapeError, "bernoulli: p is 1.5, needs a number in [0, 1]"),
        (lambda: random.dropout_keep(0, 0, math.nan, 0, 1), ShapeError, "dropout: p is nan"),
    ],
)
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_a_refused_seed_changes_nothing() -> None:
    mc.manual_seed(4)
    random.next_call(random.INIT)
    before = random.get_state()
    for bad in (-1, 2**64, "x"):
        with pytest.raises((ShapeError, DTypeError)):
            mc.manual_seed(bad)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ShapeError):
        random.set_state({**before, "dropout": -1})
    assert random.get_state() == before
