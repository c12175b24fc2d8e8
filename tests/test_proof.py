"""The one command that compares ours with the others: it runs, goes on, and says what is absent."""

import json

import pytest
from conftest import load_benchmark
from PIL import Image

proof = load_benchmark("proof")
TASKS = ("wine", "digits, halves", "mfeat, 3 views", "clothing", "wine, holes")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the command, quickly, without the machine's data and peers."""
    monkeypatch.setenv("SKLEARN_MMAE_DATA", str(tmp_path / "nothing"))
    monkeypatch.delenv("SKLEARN_MMAE_PEERS", raising=False)

    def run(*tasks):
        results, page = tmp_path / "results.jsonl", tmp_path / "page" / "proof.md"
        options = ["--quick", "--results", str(results), "--page", str(page), "--tasks", *tasks]
        proof.main(options)
        return results, page

    return run


@pytest.fixture
def measured(monkeypatch):
    """Record what is measured, by task and method."""
    done, measure = [], proof.measure

    def recorded(name, method_name, *others):
        done.append((name, method_name))
        return measure(name, method_name, *others)

    monkeypatch.setattr(proof, "measure", recorded)
    return done


@pytest.mark.slow
def test_one_command_makes_a_table_a_figure_and_a_list_of_what_is_absent(run):
    results, page = run(*TASKS)
    records = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    by_task = {task: {r["method"] for r in records if r["task"] == task} for task in TASKS}
    assert by_task["digits, halves"] == {"ours", "PCA", "ridge", "PLS", "CCA", "MLPRegressor"}
    imputers = {"IterativeImputer", "KNNImputer", "EM", "missForest"}
    assert by_task["wine, holes"] == {"ours", *imputers}
    text = page.read_text(encoding="utf-8")
    for record in records:
        for figure in record["measured"].values():
            assert f"{figure:.3f}" in text
    assert "quick: not a measurement" in text
    assert "- multivae: no environment" in text
    assert "- mfeat, 3 views: no data set 'uci_mfeat'" in text
    with Image.open(page.with_suffix(".png")) as picture:
        assert min(picture.size) > 300


def test_a_run_that_was_killed_loses_no_more_than_one_result(run, measured):
    results, page = run("wine", "wine, holes")
    first = page.read_text(encoding="utf-8")
    assert len(measured) == len(results.read_text(encoding="utf-8").splitlines())
    measured.clear()
    run("wine", "wine, holes")
    assert measured == []
    whole = results.read_bytes()
    results.write_bytes(whole[:-20])  # killed as it wrote the last line
    run("wine", "wine, holes")
    assert measured == [("wine, holes", "missForest")]
    figures = [line for line in first.splitlines() if "R²" in line or "accuracy" in line]
    assert set(figures) <= set(page.read_text(encoding="utf-8").splitlines())


def test_a_peer_that_stops_is_listed_with_its_last_words_and_the_others_go_on(
    run, monkeypatch, tmp_path
):
    peer = tmp_path / "peers" / "keras" / "bin" / "python"
    peer.parent.mkdir(parents=True)
    peer.write_text("#!/bin/sh\ncase $1 in -c) echo 3.0;; *) echo 'no memory' >&2; exit 1;; esac\n")
    peer.chmod(0o755)
    monkeypatch.setenv("SKLEARN_MMAE_PEERS", str(tmp_path / "peers"))
    results, page = run("wine")
    assert "- Keras autoencoder, wine: no memory" in page.read_text(encoding="utf-8")
    records = list(map(json.loads, results.read_text(encoding="utf-8").splitlines()))
    assert [record["method"] for record in records if "measured" in record] == ["ours", "PCA"]


@pytest.mark.slow
def test_two_processes_share_the_work(run):
    results, page = run("wine", "wine, holes", "--jobs", "2")
    records = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    done = sorted((record["task"], record["method"]) for record in records)
    assert len(set(done)) == len(done) == 7
    assert "cells filled in" in page.read_text(encoding="utf-8")
