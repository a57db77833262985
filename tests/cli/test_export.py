"""`dropsmith export RUN EXAMPLES`: a graph that another runtime runs, with predict's masks."""

import json

import numpy
import pytest
import torch

import dropsmith as ds
from run_folder.finished import finished_run, write_texts

pytestmark = pytest.mark.slow
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run on texts, one on pairs with values, and their tables."""
    place = tmp_path_factory.mktemp("export")
    write_texts(place / "texts.csv")
    write_texts(place / "pairs.csv", pairs=True, values=True)
    finished_run(str(place / "texts.csv"))[0].write(place / "texts")
    finished_run("stsb", data=place / "pairs.csv")[0].write(place / "values")
    return place


def run_file(path, columns, seed):
    inputs = {"seed": numpy.array(seed, numpy.int32), "number": numpy.array(0, numpy.int32)}
    inputs |= {name: column.numpy() for name, column in columns.items()}
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(None, inputs)), strict=True))


def test_the_mean_of_the_file_is_that_of_predict_on_rows_that_it_was_not_traced_on(place, run):
    file = place / "texts.onnx"
    code, text, _ = run(f"export {place}/texts {place}/texts.csv --out {file} --samples 6")
    assert code == 0
    assert "mean, entropy, mutual_information: the mean of 6 samples" in text
    predictor = ds.load(place / "texts")
    assert ", ".join(predictor.names) in text
    rows = predictor.read(place / "texts.csv").part.rows(slice(3, 12))
    columns = {name: column for name, column in rows.items() if name != "labels"}
    for name, column in columns.items():
        assert f"  {name}: {str(column.dtype).removeprefix('torch.')} [" in text
    found = run_file(file, columns, seed=5)["mean"]
    wanted = predictor.predict(columns, 6, seed=5).mean
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_values_are_in_the_unit_of_training_and_the_numbers_of_the_unit_are_printed(place, run):
    file = place / "values.pt2"
    code, text, _ = run(f"export {place}/values {place}/pairs.csv --out {file} --samples 4 --json")
    assert code == 0
    said = json.loads(text)
    predictor = ds.load(place / "values")
    rows = predictor.read(place / "pairs.csv").part.rows(slice(0, 5))
    columns = {name: column for name, column in rows.items() if name != "labels"}
    seed, number = (torch.tensor(word, dtype=torch.int32) for word in (1, 0))
    mean, *_ = torch.export.load(file).module()(seed, number, **columns)
    found = mean.flatten() * said["unit"] + said["mean"]
    wanted = predictor.predict(columns, 4, seed=1).mean.flatten()
    torch.testing.assert_close(found, wanted.float(), atol=1e-4, rtol=1e-3)
    assert said["samples"] == 4


def test_what_cannot_be_exported_is_a_sentence_and_leaves_no_file(place, run):
    file = place / "none.onnx"
    for line, said in (
        (f"export {place} {place}/texts.csv --out {file}", "not the folder of a finished run"),
        (f"export {place}/texts {place}/no.csv --out {file}", "no.csv"),
        (f"export {place}/texts {place}/texts.csv --out {place}/a.tflite", ".onnx"),
    ):
        code, _, errors = run(line)
        assert code != 0
        assert said in errors
        assert "Traceback" not in errors
    assert not file.exists()
