"""The package as a user installs it: a wheel, in an environment that holds nothing else, outside the checkout."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("numba", "matplotlib", "safetensors", "tqdm", "PIL", "torch", "cupy", "hypothesis")


def test_import_is_light():
    code = f"import minicnn, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return the folder of the commands of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("install")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True
    )
    venv.create(folder / "env", with_pip=True)
    commands = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    wheel = next(folder.glob("minicnn-*.whl"))
    subprocess.run([commands / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    return commands


def run(commands: Path, folder: Path, *words: str) -> str:
    done = subprocess.run([commands / words[0], *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_trains_outside_the_checkout(installed, tmp_path):
    code = (
        "import minicnn as mc, numpy as np, minicnn.functional as F\n"
        "w = mc.tensor(np.ones((2, 1, 3, 2)), requires_grad=True)\n"
        "F.conv2d(mc.tensor(np.ones((1, 1, 5, 4))), w).sum().backward()\n"
        "print(mc.__file__, w.grad.tolist()[0][0][0][0])"
    )
    where, value = run(installed, tmp_path, "python", "-c", code).split()
    assert not Path(where).is_relative_to(ROOT)
    assert float(value) == 9.0


def test_the_wheel_holds_the_manifest_and_the_command(installed, tmp_path):
    code = "from minicnn.data import orl; print(len(orl.manifest().digests))"
    assert run(installed, tmp_path, "python", "-c", code).strip() == "400"
    assert "parameters 312,456" in run(installed, tmp_path, "minicnn", "summary", "resnet_orl")
    assert "cpu" in run(installed, tmp_path, "python", "-m", "minicnn", "doctor")


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("g++") is None, reason="cuda:sim needs Linux and g++")
def test_the_wheel_runs_the_kernels_outside_the_checkout(installed, tmp_path):
    code = (
        "import minicnn as mc, minicnn.functional as F\n"
        "from minicnn.cuda.source import shipped\n"
        "print(shipped(), F.relu(mc.tensor([-1.0, 2.0], device='cuda:sim')).sum().item())"
    )
    where, value = run(installed, tmp_path, "python", "-c", code).split()
    assert not Path(where).is_relative_to(ROOT)
    assert float(value) == 2.0
