"""A part of the samples of `make conformance` in the ordinary tests, all of them with --full."""

import inspect
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

import minicnn.functional as F
from tests.conformance import onnx_nodes, refusals
from tests.conformance import pytorch_samples as samples
from tests.conformance.pytorch_samples import Form
from tests.conformance.table import Outcome, lines
from tests.conftest import DEVICES

NO_SAMPLES = {"fold", "index", "lp_pool2d"}
"""Operations that op_db does not know by these names; `index` is sampled as __getitem__, the others by ONNX."""


def of_pytorch(forms: Iterable[Form], devices: tuple[str, ...], most: int | None = None) -> list[Outcome]:
    """Return how PyTorch's samples end.

    In a thread, whose stack is short: to make a sample PyTorch reads the source of every caller, and here pytest's
    are so many that it would take 60 of 80 seconds.
    """
    with ThreadPoolExecutor(1) as thread:
        return list(thread.submit(lambda: [o for f in forms for o in samples.outcomes(f, devices, most)]).result())


def wrong(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"{o.operation} {o.sample}: {o.text}" for o in outcomes if o.verdict == "wrong"]


def functions() -> list[Form]:
    return [form for form in samples.forms() if "(" not in form.name]


def test_a_few_samples_of_pytorch() -> None:
    outcomes = of_pytorch(samples.forms(), ("cpu",), most=8)
    assert len(outcomes) > 8000
    assert wrong(outcomes) == []


def test_onnx() -> None:
    outcomes = [onnx_nodes.judge(case, "cpu") for case in onnx_nodes.cases()]
    assert len(outcomes) > 800
    assert wrong(outcomes) == []


def test_every_operation_is_sampled() -> None:
    sampled = {form.name.removeprefix("nn.functional.").partition(".")[0] for form in functions()}
    operations = {name for name, value in vars(F).items() if inspect.isfunction(value)}
    assert operations - sampled - NO_SAMPLES == set()


def test_entries_left_out_exist() -> None:
    names = {f"{e.name}.{e.variant_test_name}".rstrip(".") for e in samples.entries()}
    assert set(samples.LEFT_OUT) <= names


def test_a_refusal_without_a_listed_reason_is_wrong() -> None:
    text = "conv2d: input has 3 channels, weight (8, 4, 3, 3) with groups=1 needs 4"
    assert refusals.reason(refusals.LIMITS, "nn.functional.conv2d", text) == ""
    text = "conv2d: input has shape (3, 5, 5), needs a batch (N, C, H, W); give a single image its batch axis with"
    assert refusals.reason(refusals.LIMITS, "nn.functional.conv2d", text).startswith("rank: images come in batches")
    assert refusals.reason(refusals.LIMITS, "nn.functional.linear", text) == ""


def test_the_table_counts_and_gives_reasons() -> None:
    outcomes = [
        Outcome("PyTorch", "add", "float64[0]", "passed"),
        Outcome("PyTorch", "add", "float64[1]", "wrong", "off by 1"),
        Outcome("ONNX", "Mod", "test_mod", "refused", "attribute fmod", "no fmod"),
    ]
    table = "\n".join(lines(outcomes))
    assert "add            1        ·        1" in table
    assert "refused 1 times: no fmod\n        1 ONNX Mod: attribute fmod" in table
    assert "WRONG PyTorch add float64[1]: off by 1" in table
    assert table.endswith("PyTorch: 1 passed, 0 refused, 1 wrong\nONNX: 0 passed, 1 refused, 0 wrong")


@pytest.mark.full
def test_every_sample_passes_or_is_refused_for_a_listed_reason() -> None:
    outcomes = of_pytorch(samples.forms(), DEVICES)
    outcomes += [onnx_nodes.judge(case, device) for case in onnx_nodes.cases() for device in DEVICES]
    assert wrong(outcomes) == []
    reasons = {o.reason for o in outcomes}
    assert [limit for limit in [*refusals.LIMITS, *refusals.ACCEPTED] if limit.reason not in reasons] == []
