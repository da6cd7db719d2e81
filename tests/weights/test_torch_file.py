"""Files that PyTorch itself writes, in both of its formats, against what PyTorch loads from them."""

import io
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.errors import CheckpointError, DTypeError
from minicnn.weights import load_torch

FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


def saved(value: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


@pytest.fixture(params=FORMATS)
def save(request):
    return lambda value: saved(value, **FORMATS[request.param])


def assert_equal(ours: object, theirs: torch.Tensor) -> None:
    """The same type, shape and numbers; half precision as float32."""
    assert type(ours) is mc.Tensor
    wide = theirs.detach().float() if theirs.dtype in (torch.float16, torch.bfloat16) else theirs.detach()
    assert ours.dtype == wide.numpy().dtype
    assert ours.shape == tuple(wide.shape)
    np.testing.assert_array_equal(ours.numpy(), wide.numpy())
    if wide.is_floating_point():
        np.testing.assert_array_equal(np.signbit(ours.numpy()), np.signbit(wide.numpy()))


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type(save, dtype):
    x = (torch.arange(-6, 6).reshape(3, 4) * 0.37).to(dtype)
    assert_equal(load_torch(save({"x": x}))["x"], x)


def test_special_values(save):
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tiny = torch.finfo(dtype).smallest_normal
        x = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), tiny, tiny / 4], dtype=dtype)
        assert_equal(load_torch(save(x)), x)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1, 1, 1), (2, 3, 4, 5)], ids=str)
def test_every_shape(save, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert_equal(load_torch(save({"x": x}))["x"], x)


VIEWS = {
    "transposed": lambda x: x.T,
    "sliced": lambda x: x[1:3, ::2],
    "one column": lambda x: x[:, 1],
    "offset": lambda x: x[2],
    "expanded": lambda x: x[:1].expand(3, 6),
    "diagonal": lambda x: x.diagonal(),
    "unfolded": lambda x: x.flatten().unfold(0, 4, 1),  # windows that overlap
    "channels last": lambda x: x.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views(save, view, request):
    x = torch.arange(24.0).reshape(4, 6)
    y = VIEWS[view](x)
    whole = {"x": x, "y": y}  # the storage is in the file as a whole
    if "legacy" in request.node.name and view in ("expanded", "unfolded"):
        # Here numbers come after the tensors, so that elements that share a place cannot be made yet.
        with pytest.raises(CheckpointError, match=r"holds elements several times$"):
            load_torch(save(whole))
        return
    found = load_torch(save(whole))
    assert_equal(found["x"], x)
    assert_equal(found["y"], y)


def test_shared_storage_is_shared_memory(save):
    x = torch.arange(6.0)
    found = load_torch(save({"a": x, "b": x[2:], "c": x.clone()}))
    found["a"].data[3] = 99
    assert found["b"].numpy()[1] == 99
    assert found["c"].numpy()[3] == 3


def test_state_dict_of_a_module(save):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    state = module.state_dict()
    assert state._metadata
    found = load_torch(save(state))
    assert list(found) == list(state)
    for name in state:
        assert_equal(found[name], state[name])
    ours = mc.nn.Sequential(mc.nn.Conv2d(3, 4, 3), mc.nn.BatchNorm2d(4), mc.nn.Linear(4, 2))
    assert ours.load_state_dict(found) == ([], [])


def test_parameters_and_gradients_wanted(save):
    value = {"p": torch.nn.Parameter(torch.ones(2)), "g": torch.ones(3, requires_grad=True)}
    found = load_torch(save(value))
    assert_equal(found["p"], value["p"])
    assert_equal(found["g"], value["g"])
    assert not found["p"].requires_grad


def test_parameter_with_attributes(save):
    p = torch.nn.Parameter(torch.ones(2))
    p.note = "kept by PyTorch"
    assert_equal(load_torch(save({"p": p}))["p"], p)


def test_checkpoint_with_an_optimiser(save):
    module = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    module(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    value = {
        "state_dict": module.state_dict(), "optimizer": optimiser.state_dict(), "epoch": 3, "best": 0.25,
        "names": ["a", ("b", None)], "flag": True, "big": 2**40, "negative": -5, "size": torch.Size([2, 3]),
        "text": "Å", "device": torch.device("cpu"), "nested": OrderedDict(a=OrderedDict(b=torch.ones(1))),
        "dtype": torch.float32,
    }  # fmt: skip
    found = load_torch(save(value))
    for name, tensor in value["state_dict"].items():
        assert_equal(found["state_dict"][name], tensor)
    assert_equal(found["optimizer"]["state"][0]["exp_avg"], value["optimizer"]["state"][0]["exp_avg"])
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert_equal(found["nested"]["a"]["b"], torch.ones(1))
    plain = {k: found[k] for k in ("epoch", "best", "names", "flag", "big", "negative", "text")}
    assert plain == {k: value[k] for k in plain}
    assert type(found["flag"]) is bool
    assert found["size"] == (2, 3)
    assert (found["device"], found["dtype"]) == ("cpu", "torch.float32")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol(protocol):
    value = OrderedDict(x=torch.arange(3.0), y=torch.ones(2, dtype=torch.float16))
    for options in FORMATS.values():
        found = load_torch(saved(value, pickle_protocol=protocol, **options))
        for name in value:
            assert_equal(found[name], value[name])


def test_types_that_numpy_or_minicnn_has_not():
    x = torch.tensor([1, 2], dtype=torch.uint16)
    with pytest.raises(
        CheckpointError, match=r"asks for torch\._utils\._rebuild_tensor_v3, which is neither a tensor nor a plain"
    ):
        load_torch(saved({"x": x}))


def test_a_file_by_its_path(tmp_path):
    torch.save({"x": torch.ones(2)}, tmp_path / "a.pth")
    assert_equal(load_torch(tmp_path / "a.pth")["x"], torch.ones(2))
    assert_equal(load_torch(str(tmp_path / "a.pth"))["x"], torch.ones(2))


def test_on_the_current_device(device):
    assert load_torch(saved(torch.ones(2))).device == device


def with_byte_order(content: bytes, order: bytes) -> bytes:
    """The archive as a machine of this byte order had written it, all its storages being of 4-byte elements."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/byteorder"):
                data = order
            elif "/data/" in name:
                data = np.frombuffer(data, "<u4").byteswap().tobytes()
            if not name.endswith("serialization_id"):
                new.writestr(name, data)
    return stream.getvalue()


def test_big_endian_archive():
    x = {"a": torch.tensor([1.5, -2.25]), "b": torch.tensor([7, -9], dtype=torch.int32)}
    content = with_byte_order(saved(x), b"big")
    theirs = torch.load(io.BytesIO(content), weights_only=True)
    for name in x:
        assert_equal(load_torch(content)[name], x[name])
        torch.testing.assert_close(theirs[name], x[name])
    with pytest.raises(CheckpointError, match=r"its byte order is 'middle', needs 'little' or 'big'$"):
        load_torch(with_byte_order(saved(x), b"middle"))


def test_big_endian_legacy_file():
    """The marker is in the third pickle; sizes before the storages and the numbers are turned with it."""
    x = torch.tensor([1.5, -2.25])
    content = saved(x, **FORMATS["legacy"])
    size = struct.pack("<q", 2) + x.numpy().tobytes()
    assert content.count(b"little_endianq\x02\x88") == 1
    assert content.endswith(size)
    turned = content.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89").removesuffix(size)
    turned += struct.pack(">q", 2) + x.numpy().byteswap().tobytes()
    assert_equal(load_torch(turned), x)


def test_pytorch_without_its_zip_alignment_and_checksum_entries():
    """Older versions wrote neither byteorder nor serialization_id."""
    content, stream = saved({"x": torch.arange(3.0)}), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            if name.split("/", 1)[1] in ("data.pkl", "version", "data/0"):
                new.writestr(name, old.read(name))
    assert_equal(load_torch(stream.getvalue())["x"], torch.arange(3.0))


# Refusals


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_other_objects_are_refused_by_name(save):
    for value, name in [
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (np.float64(3), r"numpy\.\S+\.scalar"),
        ({1, 2}, r"__builtin__\.set|builtins\.set"),
        (Evil(print, "executed"), r"__builtin__\.print|builtins\.print"),
        (torch.ones(2).to_sparse(), r"torch\._utils\._rebuild_sparse_tensor"),
        (torch.ones(2, dtype=torch.complex64), r"torch\.ComplexFloatStorage"),
    ]:
        with pytest.raises(CheckpointError, match=rf"^load_torch: the pickle asks for ({name}), which is neither"):
            load_torch(save({"value": value}))


def test_a_tensor_whose_sign_is_still_to_be_changed(save):
    x = torch.ones(2, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    with pytest.raises(CheckpointError, match=r"stored with its sign still to be changed; save its \.resolve_neg\(\)"):
        load_torch(save(x))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"hello", "is not a file of torch.save: it is neither a zip archive nor a pickle"),
        (b"\x80\x02]q\x00.", "is a pickle, but not a file of torch.save: it lacks the magic number"),
        (b"\x80\x02", "the pickle is damaged: ValueError: pickle exhausted before seeing STOP"),
        (b"PK\x03\x04", "is a damaged zip archive: File is not a zip file"),
    ],
)
def test_what_is_no_such_file(content, text):
    with pytest.raises(CheckpointError) as caught:
        load_torch(content)
    assert str(caught.value).startswith("load_torch")
    assert text in str(caught.value)


def test_missing_file_and_wrong_argument(tmp_path):
    with pytest.raises(CheckpointError, match=r"^load_torch: cannot read \S+nothing\.pth: No such file or directory$"):
        load_torch(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match="cannot read"):
        load_torch(tmp_path)
    with pytest.raises(DTypeError, match=r"^load_torch: needs the path of a file or its bytes, got int$"):
        load_torch(3)


def test_a_zip_archive_of_something_else():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(CheckpointError, match=r"without a data\.pkl: torch\.save did not write it$"):
        load_torch(stream.getvalue())


def test_compressed_archives_are_refused():
    content, stream = saved({"x": torch.zeros(1000)}), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match=r"is compressed; weights are read uncompressed only$"):
        load_torch(stream.getvalue())


def test_storages_that_changed_places_are_noticed():
    """Each entry's checksum is right; PyTorch's serialization_id is not."""
    content, stream = saved({"x": torch.zeros(4), "y": torch.ones(4)}), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            other = {"0": "1", "1": "0"}.get(name[-1]) if "/data/" in name else None
            new.writestr(name, old.read(name[:-1] + other if other else name))
    with pytest.raises(CheckpointError, match=r"its serialization_id does not fit its entries$"):
        load_torch(stream.getvalue())
