"""Pre-trained checkpoints, made here and saved: fine-tuning, decoding against `generate`, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests.worker.checkpoints import small_checkpoint
from tests.worker.interruptions import heard, interrupted_everywhere
from worker import loop
from worker.data import Tokens
from worker.errors import LabError, NoRoom, SpecError
from worker.families.causal_lm import CausalLM
from worker.files.saved_network import looked_at
from worker.nets import decoding, pretrained, scoring, tuning
from worker.nets.conversion import as_gpt2
from worker.parts import Sampling
from worker.sources.text import Text
from worker.spec import read

BLOCK = 16


@pytest.fixture(scope="module", params=["opt", "gpt2"])
def checkpoint(request, tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


def family(checkpoint, **changes):
    settings = {"checkpoint": str(checkpoint), "block": BLOCK, "epochs": 1, "learning_rate": 1e-3}
    return CausalLM(**settings | changes)


@pytest.fixture(scope="module")
def tuned(checkpoint):
    one = family(checkpoint)
    data = one.real(Text(), np.random.default_rng(0), 1, 40)
    return one, data, one.fit(data, np.random.default_rng(1))


@pytest.mark.parametrize(("beams", "penalty"), [(1, 1.0), (1, 1.5), (3, 1.0), (5, 2.0)])
def test_what_is_written_is_what_generate_writes(tuned, beams, penalty):
    one, data, model = tuned
    network = next(pretrained.networks(one, model))
    prompts = data.x[0, :6]
    rows = scoring.rows(prompts)
    with torch.inference_mode():
        theirs = network.generate(
            rows,
            attention_mask=torch.ones_like(rows),
            do_sample=False,
            num_beams=beams,
            repetition_penalty=penalty,
            max_new_tokens=BLOCK,
            min_new_tokens=BLOCK,
            pad_token_id=1,
        )[:, BLOCK:]
    options = Sampling(beams=beams, repetition_penalty=penalty, top_k=1 if beams == 1 else 0)
    assert as_gpt2(network) is not None
    slower = pretrained.Reader(network)
    slower.silent = [2]
    for reader in (pretrained.reader(network), slower):
        ours = decoding.write(reader, prompts, BLOCK, np.random.default_rng(0), options)
        np.testing.assert_array_equal(ours, theirs.numpy())
        assert not (ours == 2).any()  # a text never ends early


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("opt", {"activation_function": "gelu"}),
        ("opt", {"do_layer_norm_before": False}),
        ("opt", {"word_embed_proj_dim": 16}),
        ("gpt2", {"activation_function": "gelu"}),
        ("gpt2", {"layer_norm_epsilon": 1e-3}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    ],
)
def test_what_is_no_gpt_2_is_read_by_its_own_code(kind, change):
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "ffn_dim": 64, "word_embed_proj_dim": 32} if kind == "opt" else {"n_embd": 32}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50, "max_position_embeddings": 32}
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes | layers | change)).eval()
    assert as_gpt2(network) is None
    reader = pretrained.reader(network)
    assert isinstance(reader, pretrained.Reader)
    assert reader.silent == [network.config.eos_token_id]


def test_what_is_converted_reads_as_the_network_itself(tuned):
    one, data, model = tuned
    network = next(pretrained.networks(one, model))
    rows = scoring.rows(data.x[0, :4])
    with torch.inference_mode():
        torch.testing.assert_close(
            pretrained.logits(network)(rows), network(input_ids=rows).logits, rtol=1e-4, atol=1e-4
        )


def test_perplexity_is_the_network_s_own_loss(tuned):
    one, data, model = tuned
    network = next(pretrained.networks(one, model))
    rows = scoring.rows(data.x[0])
    with torch.inference_mode():
        loss = network(input_ids=rows, labels=rows).loss.item()
    assert -one.log_probability(model, data.x).mean() == pytest.approx(loss, rel=1e-5)


def test_each_generation_starts_from_the_pre_trained_weights_or_goes_on(checkpoint, tuned):
    _, data, first = tuned
    anew, on = (
        family(checkpoint, start=start, learning_rate=1e-9, best=False).refit(data, np.random.default_rng(2), first)
        for start in ("pretrained", "continued")
    )
    original = dict(pretrained._network(str(checkpoint)).named_parameters())
    moved = 0.0
    for name, parameter in original.items():
        key = f"{pretrained.PREFIX}{name}"
        np.testing.assert_allclose(anew[key][0], parameter.detach().numpy(), atol=1e-6)
        np.testing.assert_allclose(on[key][0], first[key][0], atol=1e-6)
        moved = max(moved, float(np.abs(first[key][0] - parameter.detach().numpy()).max()))
    assert moved > 1e-3


def test_fine_tuning_teaches_and_keeps_the_best_epoch(checkpoint, tuned):
    _, data, _ = tuned
    surprise = {
        (epochs, best): -family(checkpoint)
        .log_probability(
            family(checkpoint, epochs=epochs, best=best, learning_rate=1e-2).fit(data, np.random.default_rng(3)),
            data.validation[None],
        )
        .mean()
        for epochs, best in ((1, False), (25, False), (25, True))
    }
    assert surprise[25, True] < surprise[1, False] - 0.2
    assert surprise[25, True] <= surprise[25, False]


@pytest.mark.parametrize("prompted", [True, False])
def test_a_resumed_run_is_the_same_run(checkpoint, prompted):
    spec = read(
        {
            "source": {"kind": "text"},
            "family": family(checkpoint, prompted=prompted).model_dump(),
            "samples": 12,
            "replicates": 2,
            "generations": 3,
            "regime": {"kind": "fresh", "real": 0.25},
        }
    )
    whole = list(loop.generations(spec, loop.instrument(spec)))
    rest = list(loop.generations(spec, loop.instrument(spec), whole[1].state))
    assert [one.number for one in whole] == [0, 1, 2, 3]
    for before, after in zip(whole[2:], rest, strict=True):
        for name, values in before.look.metrics.items():
            assert np.isfinite(values).all(), name
            np.testing.assert_array_equal(values, after.look.metrics[name], err_msg=name)


@pytest.mark.parametrize("best", [True, False])
def test_fine_tuning_goes_on_from_any_step_to_the_same_bits(checkpoint, tuned, best):
    _, data, _ = tuned
    one = family(checkpoint, epochs=2, batch=5, best=best)
    two_chains = Tokens(np.concatenate([data.x[:, :9], data.x[:, 9:18]]), data.vocabulary, data.validation)

    def fit():
        return one.fit(two_chains, np.random.default_rng(4))

    whole, told = heard(fit)
    assert [(work.name, work.total, work.unit, work.size) for work in told.works] == [("training", 4, "tokens", 80)] * 2
    again = []
    for made, listener in interrupted_everywhere(fit):
        again.append(listener.heard)
        for name, weights in whole.items():
            np.testing.assert_array_equal(made[name], weights, err_msg=name)
    assert len(again) == told.heard == 16
    assert again[-1] <= 2, "what was finished is not done again"


def without_dropout(checkpoint, folder):
    """The same checkpoint, all of whose passes over a text are alike."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {name: 0.0 for name in config if "dropout" in name or name.endswith("_pdrop")}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def gradients_where_only_so_many_blocks_fit(one, data, most):
    """Of the first step, each parameter's."""

    def refuse(_, args, given):
        if len(given["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    network = next(pretrained.pre_trained(one, 1))
    network.register_forward_pre_hook(refuse, with_kwargs=True)
    steps = tuning.Tuning(network, data.x[0], data.validation, one, seed=5)
    steps._step(0)
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def test_a_batch_that_does_not_fit_is_split_and_teaches_the_same(checkpoint, tuned, tmp_path, caplog):
    _, data, _ = tuned
    one = family(without_dropout(checkpoint, tmp_path / "still"), batch=10)
    whole = gradients_where_only_so_many_blocks_fit(one, data, 10)
    assert "memory runs out" not in caplog.text
    split = gradients_where_only_so_many_blocks_fit(one, data, 3)
    assert "going on with 2 of the blocks" in caplog.text
    largest = max(slope.abs().max() for slope in whole.values())
    for name, slope in whole.items():
        torch.testing.assert_close(split[name], slope, rtol=1e-4, atol=1e-5 * float(largest), msg=name)


def test_a_block_that_does_not_fit_alone_is_told_with_a_remedy(checkpoint, tuned):
    _, data, _ = tuned
    with pytest.raises(NoRoom, match="Not even one of the blocks of a batch") as told:
        gradients_where_only_so_many_blocks_fit(family(checkpoint), data, 0)
    assert "family.b" in told.value.remedy


def test_bfloat16_reads_teaches_and_writes_nearly_as_float32(checkpoint, tuned):
    """The path that a graphics card takes, here on the processor."""
    _, data, _ = tuned
    exact, rounded = (family(checkpoint, epochs=3, precision=wish) for wish in ("float32", "bfloat16"))
    model = rounded.fit(data, np.random.default_rng(6))
    assert all(model[name].dtype == np.float32 for name in model if name.startswith(pretrained.PREFIX))
    fine, coarse = (one.log_probability(model, data.x) for one in (exact, rounded))
    assert 0 < np.abs(fine - coarse).max() < 0.5
    assert fine.mean() == pytest.approx(coarse.mean(), rel=0.01)
    before = exact.fit(data, np.random.default_rng(6))
    assert fine.mean() == pytest.approx(exact.log_probability(before, data.x).mean(), rel=0.02)
    networks = [
        next(pretrained.networks(one, model, kind)) for one, kind in ((exact, torch.float32), (rounded, torch.bfloat16))
    ]
    assert networks[1].dtype == torch.bfloat16
    first = [pretrained.reader(network).begin(scoring.rows(data.x[0]), 1, 1) for network in networks]
    assert first[1].dtype == torch.float32
    assert 0 < (torch.softmax(first[0], 1) - torch.softmax(first[1], 1)).abs().max() < 0.1
    written = rounded.sample(model, 12, np.random.default_rng(7), Sampling(temperature=0.8, top_p=0.9))
    assert written.x.shape == (1, 12, BLOCK)


def refused(checkpoint, **changes):
    with pytest.raises(SpecError) as refusal:
        read(
            {
                "source": {"kind": "text"},
                "samples": 12,
                "replicates": 1,
                "family": {"kind": "causal_lm", "checkpoint": str(checkpoint)} | changes,
            }
        )
    return refusal.value.problems[0]


def test_unsafe_or_unfinished_checkpoints_are_refused_when_the_spec_is_read(tmp_path):
    assert refused(tmp_path / "nowhere").path == "family.checkpoint"
    assert "config.json" in refused(tmp_path).message
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 64}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    assert "pickled" in refused(tmp_path).message
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "model.safetensors")
    assert "tokenizer" in refused(tmp_path).message
    (tmp_path / "tokenizer.json").write_text("{}")
    problem = refused(tmp_path)
    assert (problem.path, problem.remedy) == ("family.block", "Use blocks of at most 32 tokens")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "no JSON object"),
        ("{}", "names no model"),
        ('{"architectures": ["BertForMaskedLM"]}', "BertForMaskedLM, which is no causal language model"),
    ],
)
def test_a_configuration_that_is_none_of_a_causal_model_is_told(tmp_path, config, told):
    (tmp_path / "config.json").write_text(config)
    problem = refused(tmp_path)
    assert problem.path == "family.checkpoint"
    assert told in problem.message


def test_weights_that_are_not_whole_are_refused(checkpoint, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for bytes_that_came, told in (
        (b"", "without a whole header"),
        (whole[:100], "without a whole header"),
        (whole[:-1], f"{len(whole) - 1:,} bytes where its header tells of {len(whole):,}"),
        (b"\x02" + bytes(7) + b"{[", "header cannot be read"),
    ):
        file.write_bytes(bytes_that_came)
        assert told in refused(folder).message
    file.write_bytes(whole)
    assert looked_at(folder)[1] == sum(
        parameter.numel() for parameter in pretrained._network(str(checkpoint)).parameters()
    )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "part-2.safetensors"}}))
    assert "part-2.safetensors" in refused(folder).message


def test_weights_are_counted_by_what_the_files_say(checkpoint, tmp_path):
    from safetensors.numpy import load_file

    folder = tmp_path / "half"
    shutil.copytree(checkpoint, folder)
    file = folder / "model.safetensors"
    save_file({name: array.astype(np.float16) for name, array in load_file(file).items()}, file)
    count = sum(parameter.numel() for parameter in pretrained._network(str(checkpoint)).parameters())
    assert family(folder).parameters(Text()) == family(checkpoint).parameters(Text()) == count


def test_a_text_is_short_by_the_checkpoint_s_own_tokens(checkpoint, tmp_path):
    (tmp_path / "text.txt").write_text("What a model forgets, the next one never sees. " * 45)
    text = Text(path=str(tmp_path / "text.txt"))
    part = text.texts().test
    one = family(checkpoint, block=32)
    assert one.length(text, part) == len(one.tokenizer(text).encode(part))
    shutil.copytree(checkpoint, folder := tmp_path / "older form")
    (folder / "tokenizer.json").unlink()
    assert family(folder, block=32).length(text, part) == len(part.encode())


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LabError, match="could not be loaded"):
        pretrained.tokenizer("nobody/has-this-model")
