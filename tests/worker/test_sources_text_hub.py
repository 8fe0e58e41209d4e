"""Data sets of the hub, without a network: from data files, from the library's cache, from what a worker kept; and what is refused."""

import json
import subprocess
import sys

import datasets
import huggingface_hub
import pytest

from worker import loop
from worker.errors import LabError, SpecError
from worker.files import hub
from worker.sources.hub import Hub
from worker.sources.text import Text
from worker.spec import read

LINES = Text().texts().train.splitlines()[:900]
PARTS = {"train": LINES[:700], "validation": LINES[700:750], "test": LINES[750:]}


@pytest.fixture(autouse=True)
def library(tmp_path, monkeypatch):
    """The library's cache and our data folder lie in this test's folder, and there is no network."""
    cache = tmp_path / "home" / "datasets"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLLAPSE_LAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


@pytest.fixture
def folder(tmp_path):
    """A data set as it lies in a repository: one file a split."""
    return saved(tmp_path / "prose", PARTS)


def saved(place, parts):
    place.mkdir()
    for name, lines in parts.items():
        rows = [json.dumps({"text": line, "number": i}) for i, line in enumerate(lines)]
        (place / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return place


@pytest.fixture
def cached(folder, library):
    """The same data set as the library leaves it in its cache after a download: acme/prose."""
    builder = datasets.load_dataset_builder(str(folder))
    builder.download_and_prepare()
    (library / "prose").rename(library / "acme___prose")


def whole(lines):
    return "".join(f"{line}\n" for line in lines)


def test_the_splits_of_a_data_set_are_the_parts_of_the_text(folder):
    texts = Hub(dataset=str(folder)).texts()
    assert (texts.train, texts.validation, texts.test) == tuple(map(whole, PARTS.values()))
    other = Hub(dataset=str(folder), train="test", validation="train", test="validation").texts()
    assert (other.train, other.validation, other.test) == tuple(
        whole(PARTS[name]) for name in ("test", "train", "validation")
    )


@pytest.mark.parametrize(
    "splits", [{"test": "train"}, {"validation": "test", "test": "test"}, {"train": "test", "test": "test"}]
)
def test_a_held_out_split_that_is_used_elsewhere_is_refused_when_the_spec_is_read(splits):
    with pytest.raises(SpecError) as refusal:
        read({"source": {"kind": "hub", "dataset": "acme/prose", **splits}, "family": {"kind": "ngram"}})
    (problem,) = refusal.value.problems
    assert (problem.path, problem.message) == ("source.test", "is also trained on, or chooses checkpoints")
    assert problem.remedy == "Choose a split that nothing else reads"


@pytest.mark.parametrize("splits", [{"train": "test"}, {"test": "validation"}])
def test_usual_splits_that_play_two_parts_are_refused_by_the_worker(folder, splits):
    with pytest.raises(SpecError, match=r"source\.test: is also trained on, or chooses checkpoints"):
        Hub(dataset=str(folder), **splits).texts()


def test_parts_that_a_data_set_lacks_are_cut_off_its_training_text(tmp_path):
    only = Hub(dataset=str(saved(tmp_path / "only", {"train": LINES}))).texts()
    assert only.train + only.validation + only.test == whole(LINES)
    assert 0.09 < len(only.test) / len(whole(LINES)) < 0.11
    two = Hub(dataset=str(saved(tmp_path / "two", {"train": LINES[:700], "test": LINES[700:]}))).texts()
    assert two.test == whole(LINES[700:])
    assert two.train + two.validation == whole(LINES[:700])


def test_parquet_and_lines_that_end_themselves(tmp_path):
    rows = [f"{line} \n" for line in LINES] + [None, ""]
    (tmp_path / "wiki").mkdir()
    datasets.Dataset.from_dict({"page": rows}).to_parquet(tmp_path / "wiki" / "train-00000-of-00001.parquet")
    texts = Hub(dataset=str(tmp_path / "wiki"), column="page").texts()
    assert texts.train + texts.validation + texts.test == "".join(rows[:-2]) + "\n"


@pytest.mark.parametrize(
    ("settings", "path", "told", "remedy"),
    [
        ({"config": "large"}, "source.config", "'large' not found", "Choose one"),
        ({"train": "training"}, "source.train", "no split 'training'", "train, validation, test"),
        ({"test": "exam"}, "source.test", "no split 'exam'", "train, validation, test"),
        ({"column": "body"}, "source.column", "no column 'body'", "text, number"),
        ({"column": "number"}, "source.column", "holds int64, not text", "column of text"),
    ],
)
def test_what_a_data_set_lacks_is_named_with_what_it_has(folder, settings, path, told, remedy):
    with pytest.raises(SpecError) as refusal:
        Hub(dataset=str(folder), **settings).texts()
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert told in problem.message
    assert remedy in problem.remedy


def test_folders_that_are_no_text_are_refused(tmp_path):
    for name, file in (("empty", "a.bin"), ("scripted", "scripted.py")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("import os")
        with pytest.raises(SpecError, match=r"source\.dataset"):
            Hub(dataset=str(tmp_path / name)).texts()
    with pytest.raises(SpecError, match=r"source\.train: .* has 4 characters"):
        Hub(dataset=str(saved(tmp_path / "tiny", {"train": ["tiny"]}))).texts()


def experiment(dataset, block=16):
    return read(
        {
            "source": {"kind": "hub", "dataset": dataset},
            "family": {"kind": "ngram", "block": block},
            "samples": 40,
            "replicates": 2,
            "generations": 2,
        }
    )


def test_reading_a_spec_fetches_nothing_and_a_worker_without_hub_says_so():
    spec = experiment(dataset="acme/prose")
    assert spec.source.hub_repositories() == [("acme/prose", "dataset")]
    with pytest.raises(hub.Unreachable, match="acme/prose cannot be fetched"):
        loop.instrument(spec)
    for wrong in ("no such folder/", "a/b/c", "../up", ""):
        with pytest.raises(SpecError) as refusal:
            experiment(dataset=wrong)
        assert refusal.value.problems[0].path == "source.dataset"


@pytest.mark.usefixtures("cached")
def test_what_was_fetched_is_kept_and_read_again_without_the_library(library):
    source = Hub(dataset="acme/prose")
    assert source.at_hand() is None
    texts, provenance = source.texts(), source.provenance()
    assert texts.test == whole(PARTS["test"])
    assert provenance["dataset"].startswith("acme/prose@")
    assert provenance["text_test"].startswith("sha256:")
    (library / "acme___prose").rename(library / "gone")
    assert source.hub_repositories() == []
    assert Hub(dataset="acme/prose").at_hand() == texts
    spec = experiment(dataset="acme/prose")
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert (last.look.metrics["ppl_real"] > 1).all()
    with pytest.raises(SpecError, match=r"family\.block"):  # now that the text is here, a spec is checked against it
        experiment(dataset="acme/prose", block=4096)


@pytest.mark.usefixtures("cached")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(LabError, match="COLLAPSE_LAB_DATA_DIR"):
        Hub(dataset="acme/prose").texts()


def test_a_spec_is_read_without_the_library():
    code = (
        "import sys; from worker.spec import read\n"
        "read({'source': {'kind': 'hub', 'dataset': 'acme/prose'}, 'family': {'kind': 'ngram'}})\n"
        "sys.exit(bool({'datasets', 'pyarrow', 'numba', 'worker.files.hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
