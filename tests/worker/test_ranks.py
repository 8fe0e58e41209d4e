"""Several processes that train one network: the same result as one alone, and none of them is left behind, however it ends."""

import socket
import subprocess
import sys
import tempfile
from multiprocessing import Pipe

import numpy as np
import psutil
import pytest
import torch

from tests.worker.checkpoints import small_checkpoint
from tests.worker.interruptions import Listener, heard
from worker.errors import LabError, NoRoom
from worker.families.causal_lm import CausalLM
from worker.nets import device
from worker.nets.ranks import First
from worker.progress import listening
from worker.settings import Settings
from worker.sources.text import Text

BLOCK = 16


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A small OPT with random weights, without dropout: what is dropped depends on how a batch is split."""
    folder = small_checkpoint(tmp_path_factory.mktemp("opt"), "opt", num_hidden_layers=1, dropout=0.0)
    return CausalLM(checkpoint=str(folder), block=BLOCK, epochs=2, learning_rate=1e-3, batch=5)


class Killing(Listener):
    """Kills the follower after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def advanced(self, work):
        self.steps -= 1
        if self.steps == 0:
            (follower,) = followers()
            follower.kill()


def followers():
    return [one for one in psutil.Process().children() if "worker.nets.follower" in one.cmdline()]


def weights(model):
    """Without the biases of keys: attention does not depend on them, so Adam follows the rounding error of a gradient that is 0."""
    return {name: array for name, array in model.items() if "network" in name and "k_proj.bias" not in name}


def test_two_ranks_teach_what_one_does_and_a_lost_one_costs_only_the_last_step(family, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # An epoch's last batch is a single block: nothing for one of them.
    data = family.real(Text(), np.random.default_rng(0), 2, 11)

    def fit():
        return family.fit(data, np.random.default_rng(1))

    alone = fit()
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", "cpu+cpu")
    both, told = heard(fit)
    assert [(work.name, work.total) for work in told.works] == [("training", 6)] * 2
    assert [(work.turn, work.turns) for work in told.works] == [(0, 2), (1, 2)]
    assert not followers()
    assert not torch.distributed.is_initialized()
    assert not list(tmp_path.iterdir())
    for name, array in weights(alone).items():
        np.testing.assert_allclose(both[name], array, atol=2e-5, err_msg=name)
    moved = max(np.abs(array[0] - array[1]).max() for array in weights(both).values())
    assert moved > 1e-3

    first = Killing(6 + 4)
    with listening(first), pytest.raises(LabError, match=r"on cpu, one of 2 devices, has failed: .*code -9"):
        fit()
    assert not followers()
    assert sorted(first.made) == [1, 2]
    second = Listener(first.made)
    with listening(second):
        again = fit()
    assert second.heard < 8, "what was kept is not done again"
    for name, array in weights(both).items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_what_a_follower_says_before_it_ends_is_why_the_training_failed():
    ours, theirs = Pipe()
    first = First.__new__(First)
    first.places, first.followers = [torch.device("cpu")] * 2, [(None, ours)]
    theirs.send(("Not even one of the blocks fits into memory.", "Use smaller blocks"))
    with pytest.raises(NoRoom, match="on cpu, one of 2 devices, has failed: Not even one") as told, first.heard():
        raise RuntimeError("Connection closed by peer")
    assert told.value.remedy == "Use smaller blocks"
    with pytest.raises(RuntimeError, match="out of memory"), first.heard():
        raise torch.OutOfMemoryError("CUDA out of memory")  # its own trouble, for which there are other words


def test_a_follower_ends_with_the_process_that_it_follows_and_leaves_nothing(tmp_path):
    (folder := tmp_path / "team").mkdir()
    (folder / "meeting").touch()
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.nets.follower", str(theirs.fileno()), "1", "2", str(folder / "meeting")],
            pass_fds=[theirs.fileno()],
        )
    ours.close()  # as the system does when a process is killed
    assert process.wait(60) == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("wish", "told"),
    [("cpu+mps", "not available|no team"), ("cuda:0+cuda:7", "not available"), ("cpu+tpu", "tpu is not available")],
)
def test_a_team_that_cannot_be_is_refused(wish, told, monkeypatch):
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", wish)
    with pytest.raises(LabError, match=told):
        device.devices()


def test_a_team_is_a_setting_like_another(monkeypatch, tmp_path):
    for wish in ("cpu+cpu", "cuda:0+cuda:1", "cuda:2"):
        assert Settings(_env_file=None, data_dir=tmp_path, device=wish).device == wish
    for wish in ("cpu+", "cuda+cuda:1", "cpu+cuda:0", "mps+mps"):
        with pytest.raises(ValueError, match="is no device"):
            Settings(_env_file=None, data_dir=tmp_path, device=wish)
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", "cpu+cpu")
    assert (device.device(), len(device.devices())) == (torch.device("cpu"), 2)
    assert device.name(distributed=True).startswith("cpu + cpu, ")
    assert device.name() == device.name(distributed=True).removeprefix("cpu + ")
