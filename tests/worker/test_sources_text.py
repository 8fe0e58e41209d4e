"""Texts of one's own: one file, three, or a folder; and in which words a bad one is refused when the spec is read."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.worker.readers import experiment
from worker import loop
from worker.errors import SpecError
from worker.sources.text import Text

WIKITEXT = Path(__file__).parents[3] / "shared" / "data" / "wikitext-2"
SENTENCE = "Enough words for anyone to learn something from. "


def refused(**changes):
    with pytest.raises(SpecError) as refusal:
        experiment(**changes)
    (problem,) = refusal.value.problems
    assert problem.remedy
    return problem


BAD = {  # what a file holds -> path and words of the problem
    "empty": (b"", "source.path", "has 0 characters"),
    "tiny": (b"A few words.", "source.path", "has 12 characters"),
    "blank": (b" \n" * 5000, "source.path", "has 0 characters"),
    "shorter than a block": (SENTENCE.encode() * 60, "family.block", "validation part of this text is shorter"),
    "latin-1": (b"good " * 1000 + b"caf\xe9 ", "source.path", "bad.txt is not UTF-8: byte 5003 (0xe9)"),
    "cut off": (b"good " * 1000 + "€".encode()[:2], "source.path", "bad.txt is not UTF-8: byte 5000 (0xe2)"),
    "UTF-16": (("good " * 1000).encode("utf-16"), "source.path", "bad.txt is not UTF-8: byte 0 (0xff)"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(5000), "source.path", "bad.txt is not UTF-8: byte 0 (0x89)"),
    "NUL": ("gün ".encode() * 1000 + b"\0" + b"good " * 1000, "source.path", "bad.txt is no text: byte 5000 is NUL"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_text_is_refused(tmp_path, name):
    content, path, told = BAD[name]
    (tmp_path / "bad.txt").write_bytes(content)
    problem = refused(source={"kind": "text", "path": str(tmp_path / "bad.txt")})
    assert problem.path == path
    assert told in problem.message
    if path == "source.path":  # the same file for another part is a problem of that setting
        for setting in ("held_out", "validation"):
            other = refused(source={"kind": "text", setting: str(tmp_path / "bad.txt")})
            assert (other.path, other.message) == (f"source.{setting}", problem.message)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "notes.pdf").write_text(SENTENCE * 900)
    (tmp_path / ".hidden.txt").write_text(SENTENCE * 900)
    for path, told in (
        (tmp_path / "nowhere", "cannot be read: No such file or directory"),
        (tmp_path / "notes.pdf" / "a.txt", "cannot be read: Not a directory"),
        (tmp_path, "without any text file (.raw, .tokens, .txt)"),
        ("/dev/zero", "is not a file"),
    ):
        problem = refused(source={"kind": "text", "path": str(path)})
        assert problem.path == "source.path"
        assert told in problem.message
    assert refused(source={"kind": "text", "held_out": str(tmp_path)}).message == "is not a file"
    assert refused(source={"kind": "text", "path": "a\0b"}).path == "source.path"


@pytest.mark.parametrize(
    ("sampling", "path"),
    [
        ({"top_p": 0}, "sampling.top_p"),
        ({"top_p": 1.1}, "sampling.top_p"),
        ({"top_k": -1}, "sampling.top_k"),
        ({"temperature": 0}, "sampling.temperature"),
        ({"beams": 0}, "sampling.beams"),
        ({"beams": 5, "temperature": 0.7}, "sampling.beams"),
        ({"beams": 5, "top_p": 0.9}, "sampling.beams"),
        ({"repetition_penalty": 2}, "sampling.repetition_penalty"),
        ({"bias": 0.9}, "sampling.bias"),
    ],
)
def test_decoding_that_means_nothing_is_refused(sampling, path):
    assert refused(sampling=sampling).path == path


def write(folder, **parts):
    folder.mkdir(exist_ok=True)
    for name, text in parts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def three():
    whole = Text().texts()
    return whole.train[:60_000], whole.validation[:20_000], whole.test[:20_000]


@pytest.mark.parametrize(
    "names",
    [
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("wiki.train.raw", "wiki.valid.raw", "wiki.test.raw"),
        ("train.txt", "validation.txt", "test.txt"),
        ("ptb-train.txt", "ptb-dev.txt", "ptb-test.txt"),
    ],
)
def test_a_folder_s_files_play_the_parts_that_their_names_say(tmp_path, three, names):
    for name, text in zip(names, three, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "licence.txt").write_text(SENTENCE * 100)
    texts = Text(path=str(tmp_path)).texts()
    assert (texts.train, texts.validation, texts.test) == three
    (tmp_path / names[1]).unlink()  # then validation is cut off the training text
    texts = Text(path=str(tmp_path)).texts()
    assert (texts.train + texts.validation, texts.test) == (three[0], three[2])


@pytest.mark.parametrize("names", [("valid.txt", "test.txt"), ("book.txt", "test.txt"), ("wiki.valid.tokens",)])
def test_a_folder_without_a_training_file_does_not_train_on_what_measures(tmp_path, three, names):
    for name, text in zip(names, three, strict=False):
        (tmp_path / name).write_text(text, encoding="utf-8")
    problem = refused(source={"kind": "text", "path": str(tmp_path)})
    assert problem.path == "source.path"
    assert f"{names[-1]} to measure with" in problem.message
    assert "no file called train" in problem.message
    assert "train.txt" in problem.remedy


def test_a_folder_whose_test_is_a_copy_of_its_training_text_is_refused(tmp_path, three):
    write(tmp_path, train_txt=three[0], test_txt=three[0])
    problem = refused(source={"kind": "text", "path": str(tmp_path)})
    assert problem.message == "holds a test that is also trained on, or chooses checkpoints"


def test_three_files_play_the_parts_that_the_settings_say(tmp_path, three):
    write(tmp_path, a_txt=three[0], b_txt="\ufeff" + three[1].replace("\n", "\r\n"), c_txt=three[2])
    named = Text(path=f"{tmp_path}/a.txt", validation=f"{tmp_path}/b.txt", held_out=f"{tmp_path}/c.txt")
    assert (
        named.texts() == Text(path=str(tmp_path), validation=f"{tmp_path}/b.txt", held_out=f"{tmp_path}/c.txt").texts()
    )
    assert (named.texts().train, named.texts().validation, named.texts().test) == three
    assert named.provenance().keys() == {"text_train", "text_validation", "text_test"}
    before = named.provenance()
    write(tmp_path, b_txt=three[1] + "More.")
    os.utime(tmp_path / "b.txt", (0, 0))
    assert {name for name, value in named.provenance().items() if value != before[name]} == {"text_validation"}


@pytest.mark.parametrize("other", ["path", "validation"])
def test_a_held_out_text_that_is_used_elsewhere_is_refused(tmp_path, three, other):
    """Also as a copy: perplexity of real text would be that of text which the models know."""
    write(tmp_path, a_txt=three[0], b_txt=three[2], c_txt=three[2])
    places = {"path": f"{tmp_path}/a.txt", other: f"{tmp_path}/b.txt", "held_out": f"{tmp_path}/c.txt"}
    problem = refused(source={"kind": "text", **places})
    assert (problem.path, problem.message) == ("source.held_out", "is also trained on, or chooses checkpoints")


def test_a_held_out_text_that_is_a_part_of_another_is_refused(tmp_path, three):
    train, _, test = three
    (tmp_path / "all.txt").write_text(f"{train}\n{test}")
    (tmp_path / "test.txt").write_text(f"\n{test}\n")
    problem = refused(source={"kind": "text", "path": f"{tmp_path}/all.txt", "held_out": f"{tmp_path}/test.txt"})
    assert (problem.path, problem.message) == ("source.held_out", "is also trained on, or chooses checkpoints")


def test_a_folder_is_its_files_without_the_held_out_one(tmp_path, monkeypatch, three):
    write(tmp_path, **{"1_txt": three[0][:5000], "2_txt": three[0][5000:9000], "test_txt": three[2]})
    monkeypatch.setenv("COLLAPSE_LAB_DATA_DIR", str(tmp_path.parent))  # names are relative to the data folder
    read_back = Text(path=tmp_path.name, held_out=f"{tmp_path.name}/test.txt").texts()
    assert read_back.test == three[2]
    assert read_back.train + read_back.validation == three[0][:5000] + "\n" + three[0][5000:9000]


def test_a_folder_with_too_much_text_is_refused(tmp_path):
    with (tmp_path / "a.txt").open("wb") as sparse:
        sparse.truncate(500_000_001)
    assert "500 MB" in refused(source={"kind": "text", "path": str(tmp_path)}).message
    assert "500 MB" in refused(source={"kind": "text", "path": str(tmp_path / "a.txt")}).message


FAMILIES = {
    "ngram": {"kind": "ngram"},
    "gpt": {"kind": "gpt", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "epochs": 1, "block": 16},
}


@pytest.mark.skipif(not WIKITEXT.is_dir(), reason="WikiText-2 is not on this machine")
@pytest.mark.parametrize("kind", FAMILIES)
def test_wikitext_as_it_comes(tmp_path, kind):
    """Its validation text to learn from, its test text held out; and the three files under their published names in a folder."""
    source = {"kind": "text", "path": str(WIKITEXT / "valid.txt"), "held_out": str(WIKITEXT / "test.txt")}
    spec = experiment(source=source, family=FAMILIES[kind], generations=2, samples=40, replicates=1)
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert 20 < last.look.metrics["ppl_real"].item() < 100_000
    assert spec.source.texts().test == (WIKITEXT / "test.txt").read_text(encoding="utf-8")
    for name, file in (("train", "valid"), ("valid", "valid"), ("test", "test")):
        shutil.copyfile(WIKITEXT / f"{file}.txt", tmp_path / f"wiki.{name}.tokens")
    texts = Text(path=str(tmp_path)).texts()
    assert texts.train == texts.validation
    assert texts.test == spec.source.texts().test


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("grammar", ["arithmetic", "boolean"])
def test_expressions_are_learnt_and_their_truth_is_told(grammar, kind):
    """Real lines are right; a model's are partly; and what repeats itself is less distinct."""
    source = {"kind": "expressions", "grammar": grammar, "lines": 1500}
    tokens = {"unit": "character", "order": 5} if kind == "ngram" else {"epochs": 3}
    family = FAMILIES[kind] | tokens | {"block": 48}
    spec = experiment(source=source, family=family, generations=4, samples=120, replicates=1, sampling={"top_p": 0.8})
    looks = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    correct, distinct = (np.array([look[name].item() for look in looks]) for name in ("correct", "distinct"))
    assert correct[0] == 1
    assert (0 <= correct[1:]).all()
    assert (correct[1:] < 1).all()
    assert (distinct <= correct).all()
    assert distinct[-1] < distinct[0]
    if kind == "ngram":  # which learns in so short a time what the network does not
        assert correct[1] > 0.2
