"""`dropsmith methods` lists what each method does, and what `--set` takes."""

import json
import sys

import pytest

from dropsmith.compare import METHODS, find_method, method_numbers
from user_code.files import write

NAME = "own_code_of_methods_tests"


def test_every_method_is_listed_with_what_it_does_and_its_usual_numbers(run):
    code, out, _ = run("methods --json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert list(rows) == list(METHODS)
    assert rows["r-drop"]["source"] == "Liang, Wu et al., 2021"
    assert [number["name"] for number in rows["lr-drop"]["numbers"]] == [
        *("rate", "hidden", "attention", "output")
    ]
    _, out, _ = run("methods")
    for name, method in METHODS.items():
        assert name in out
        assert all(word in out for word in method.about.split())
    assert "kappa=0.03" in out


def test_one_method_is_shown_in_full_with_a_command_to_type(run):
    code, out, _ = run("methods r-drop+every-4")
    assert code == 0
    text = " ".join(out.split())
    assert "at every 4th step" in text
    (alpha,) = (n for n in method_numbers(find_method("r-drop")) if n.name == "alpha")
    assert f"--set alpha= {alpha.about}. Usual: 1. Tried: 1, 0.3, 5." in text
    assert "dropsmith train TASK --with r-drop+every-4 --set rate=0.3 --set alpha=1\n" in out


def test_a_method_of_ones_own_is_listed_by_its_docstring(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    write(tmp_path, NAME)
    code, out, _ = run(f"methods --with {NAME}:Cosine,dropout --json")
    own, dropout = json.loads(out)
    assert code == 0
    assert dropout["name"] == "dropout"
    assert own["about"] == "Two views whose scores point the same way"
    assert own["numbers"][1] | {"tried": None} == {
        "name": "weight",
        "about": "the factor of the distance",
        "usual": 1.0,
        "tried": None,
    }
    sys.modules.pop(NAME)


@pytest.mark.parametrize("line", ["methods rdrop", "methods --with none,rdrop"])
def test_a_method_that_is_none_is_answered_with_the_likely_one(run, line):
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert "did you mean 'r-drop'" in err
