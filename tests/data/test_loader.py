import threading
import time
from collections import namedtuple
from itertools import chain

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import DataLoader, Dataset
from minicnn.data.transforms import RandomHorizontalFlip
from minicnn.errors import DataError, DTypeError, ShapeError


class Numbers(Dataset):
    """Items one by one, no `batch`."""

    def __init__(self, count: int = 10) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index):
        return np.full((1, 2, 3), index, np.float32), int(index)


class Pictures(Numbers):
    """The same, whole batches at a time."""

    def __init__(self, count: int = 10, transform=None) -> None:
        super().__init__(count)
        self.transform = transform

    def batch(self, indices):
        images = np.stack([np.arange(6, dtype=np.float32).reshape(1, 2, 3) + 10 * i for i in indices])
        return images, np.array(indices, dtype=np.int64)


def labels(loader: DataLoader) -> list[list[int]]:
    return [y.tolist() for _, y in loader]


@pytest.mark.parametrize("kind", [Numbers, Pictures])
def test_batches_in_order_are_tensors_of_pytorchs_types(kind, device):
    batches = list(DataLoader(kind(), batch_size=4))
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    x, y = batches[-1]
    assert (x.shape, x.dtype, y.dtype, x.device) == ((2, 1, 2, 3), mc.float32, mc.int64, device)
    assert x[1, 0, 0, 0].item() in (9, 90)


def test_drop_last_and_length():
    assert labels(DataLoader(Numbers(), batch_size=4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(DataLoader(Numbers(), 4)) == 3
    assert len(DataLoader(Numbers(), 4, drop_last=True)) == 2
    assert labels(DataLoader(Numbers(0), 4)) == []


def test_each_epoch_is_another_permutation_fixed_by_the_seed():
    loader, again = DataLoader(Numbers(), 3, shuffle=True, seed=5), DataLoader(Numbers(), 3, shuffle=True, seed=5)
    first, second = labels(loader), labels(loader)
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(10))
    assert first != second
    assert [labels(again), labels(again)] == [first, second]
    again.epoch = 1
    assert labels(again) == second


def test_without_a_seed_manual_seed_decides():
    mc.manual_seed(3)
    loader = DataLoader(Numbers(), 3, shuffle=True)
    first = [labels(loader), labels(loader)]
    mc.manual_seed(3)
    assert [labels(loader), labels(loader)] == first
    mc.manual_seed(4)
    assert labels(loader) != first[0]


def test_the_transform_works_on_whole_batches_and_repeats_with_the_seed():
    def run() -> list:
        loader = DataLoader(Pictures(transform=RandomHorizontalFlip(0.5)), 4, seed=1)
        return [x.tolist() for _ in range(2) for x, _ in loader]

    first = run()
    assert run() == first
    assert first[:3] != first[3:]  # the next epoch is augmented otherwise


def test_what_items_draw_for_themselves_belongs_to_their_batch():
    class Augmented(Numbers):
        transform = RandomHorizontalFlip(0.5)

        def __getitem__(self, index):
            image = np.arange(6, dtype=np.float32).reshape(1, 2, 3) + 10 * index
            return self.transform(image), index

    state = mc.random.get_state()
    first = list(DataLoader(Augmented(), 4, shuffle=True, seed=5))
    assert mc.random.get_state() == state
    mc.rand(3)
    for again in (DataLoader(Augmented(), 4, shuffle=True, seed=5), DataLoader(Augmented(), 4, True, 5, num_workers=3)):
        for (x, y), (x2, y2) in zip(first, again):
            assert y.tolist() == y2.tolist()
            np.testing.assert_array_equal(x.numpy(), x2.numpy())
    flipped = [x[i, 0, 0, 0].item() % 10 == 2 for x, _ in first for i in range(len(x))]
    assert 0 < sum(flipped) < 10


def test_an_abandoned_epoch_changes_nothing_in_the_next():
    mc.manual_seed(0)
    loader = DataLoader(Pictures(transform=RandomHorizontalFlip(0.5)), 2, shuffle=True)
    list(loader)
    whole = [x.tolist() for x, _ in loader]
    mc.manual_seed(0)
    next(iter(loader))
    assert [x.tolist() for x, _ in loader] == whole


def test_a_function_of_one_argument_is_a_transform():
    x, _ = next(iter(DataLoader(Pictures(transform=lambda images: -images), 2)))
    assert x[1, 0, 1, 2].item() == -15


def test_the_thread_ends_with_the_iterator():
    iterator = iter(DataLoader(Numbers(1000), 1))
    next(iterator)
    iterator.close()
    for _ in range(100):
        if not any(t.name == "DataLoader" for t in threading.enumerate()):
            return
        time.sleep(0.01)
    pytest.fail("the loader's thread is still there")


def test_an_error_in_an_item_reaches_the_caller_in_its_place():
    class Broken(Numbers):
        def __getitem__(self, index):
            if index == 5:
                raise DataError("item 5 is broken")
            return super().__getitem__(index)

    iterator = iter(DataLoader(Broken(), 2))
    assert next(iterator)[1].tolist() == [0, 1]
    assert next(iterator)[1].tolist() == [2, 3]
    with pytest.raises(DataError, match="item 5 is broken"):
        next(iterator)


def test_containers_stay_what_they_are():
    class Named(Numbers):
        def __getitem__(self, index):
            return {"x": [np.float32(index), index], "name": f"n{index}", "t": mc.tensor(float(index))}

    batch = next(iter(DataLoader(Named(), 2)))
    assert batch["name"] == ["n0", "n1"]
    assert batch["x"][0].dtype == mc.float32
    assert batch["x"][1].tolist() == [0, 1]
    assert batch["t"].tolist() == [0.0, 1.0]


def test_a_named_tuple_stays_one():
    Pair = namedtuple("Pair", "left right")
    (batch,) = DataLoader([Pair(1.0, np.zeros(2)), Pair(2.0, np.ones(2))], batch_size=2)
    assert isinstance(batch, Pair)
    assert (batch.left.tolist(), batch.right.tolist()) == ([1.0, 2.0], [[0.0, 0.0], [1.0, 1.0]])


def test_bad_arguments_and_items():
    with pytest.raises(ShapeError, match="DataLoader: batch_size is 0, needs at least 1"):
        DataLoader(Numbers(), 0)
    with pytest.raises(DTypeError, match="DataLoader: shuffle must be True or False, got 32"):
        DataLoader(Numbers(), 4, 32)
    with pytest.raises(DataError, match="the dataset is empty"):
        DataLoader(Numbers(0), 4, shuffle=True)

    class Ragged(Numbers):
        def __getitem__(self, index):
            return np.zeros((1, 2, index + 1), np.float32), 0

    with pytest.raises(DataError, match=r"different shapes, \(1, 2, 1\) and \(1, 2, 2\); .*Resize"):
        next(iter(DataLoader(Ragged(), 2)))
