"""Every architecture is PyTorch's with the same random weights: what it returns, learns and remembers."""

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn import models, optim

from .networks import NETWORKS

pytestmark = pytest.mark.usefixtures("quick_draws")

NAMES = [pytest.param(name, marks=pytest.mark.full if network.full else ()) for name, network in NETWORKS.items()]


def pair(name):
    """Return our network, PyTorch's with the same state, and a batch; float64."""
    network = NETWORKS[name]
    ours = network.ours()
    theirs = network.theirs(ours)
    state = {key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state)  # strict: the names are the same
    rng = np.random.default_rng(1)
    batch = rng.standard_normal(network.shape) if network.scale == 1 else rng.random(network.shape) * network.scale
    return ours.double(), theirs.double(), batch


def loss_of(y, name, triplet_loss, cross_entropy, tensor):
    n = len(y)
    if NETWORKS[name].triplet:
        return triplet_loss(y[: n // 3], y[n // 3 : 2 * n // 3], y[2 * n // 3 :], margin=5.0)
    return cross_entropy(y, tensor(np.arange(n) * 3 % y.shape[1]))


def close(ours, theirs, bound=1e-8):
    theirs = theirs.detach().numpy()
    assert np.abs(ours.numpy() - theirs).max() <= bound * np.abs(theirs).max()


@pytest.mark.parametrize("name", NAMES)
def test_logits_loss_statistics_gradients_and_a_step_in_float64(name):
    ours, theirs, batch = pair(name)
    y, expected = ours(mc.tensor(batch)), theirs(torch.tensor(batch))
    close(y, expected)
    loss = loss_of(y, name, F.triplet_margin_loss, F.cross_entropy, mc.tensor)
    expected_loss = loss_of(
        expected, name, torch.nn.functional.triplet_margin_loss, torch.nn.functional.cross_entropy, torch.tensor
    )
    close(loss, expected_loss)
    assert loss.item() > 0

    buffers = dict(theirs.named_buffers())
    for key, value in ours.named_buffers():
        close(value, buffers[key])

    loss.backward()
    expected_loss.backward()
    parameters = dict(theirs.named_parameters())
    assert parameters.keys() == dict(ours.named_parameters()).keys()
    whole = np.sqrt(sum(float((p.grad**2).sum()) for p in parameters.values()))
    assert whole > 1e-4
    for key, parameter in ours.named_parameters():
        difference = parameter.grad.numpy() - parameters[key].grad.numpy()
        assert np.linalg.norm(difference) <= 1e-8 * whole, key

    choices = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    optim.SGD(ours.parameters(), **choices).step()
    torch.optim.SGD(theirs.parameters(), **choices).step()
    for key, parameter in ours.named_parameters():
        difference = parameter.detach().numpy() - parameters[key].detach().numpy()
        assert np.linalg.norm(difference) <= 1e-8 * 0.1 * whole, key  # against the whole step

    ours.eval()
    theirs.eval()
    with mc.no_grad(), torch.no_grad():
        close(ours(mc.tensor(batch)), theirs(torch.tensor(batch)))


def float32_pair(name):
    """Return both networks after one batch in train mode, that batch in float32, and what float64 makes of it."""
    ours, theirs, batch = pair(name)
    small = batch.astype(np.float32)
    with torch.no_grad():
        exact = theirs(torch.tensor(small, dtype=torch.float64)).numpy()
        exact_eval = theirs.eval()(torch.tensor(small, dtype=torch.float64)).numpy()
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours.float(), theirs.float().train(), small, exact, exact_eval


@pytest.mark.parametrize("name", NAMES)
def test_outputs_in_eval_mode_in_float32(name):
    ours, _, small, _, exact = float32_pair(name)
    with mc.no_grad():
        y = ours.eval()(mc.tensor(small)).numpy()
    assert y.dtype == np.float32
    assert np.abs(y - exact).max() <= 1e-4 * np.abs(exact).max()


@pytest.mark.parametrize("winograd", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_in_train_mode_in_float32(name, winograd):
    """Their error is at most three times that of PyTorch's float32; a small batch makes deep networks magnify it."""
    ours, theirs, small, exact, _ = float32_pair(name)
    with mc.no_grad(), torch.no_grad(), mc.use_winograd(winograd):
        y = ours.train()(mc.tensor(small)).numpy()
        allowed = 3 * np.abs(theirs(torch.tensor(small)).numpy() - exact).max()
    assert np.abs(y - exact).max() <= allowed


def test_every_model_is_compared():
    compared = {name.split(",")[0].split()[0] for name in NETWORKS}
    assert compared == set(models.MODELS)
