"""Names of the user's own code are followed, or refused in one sentence with the line."""

import os
import pickle
import subprocess
import sys

import pytest

from dropsmith.errors import PatternError, TaskError
from dropsmith.objectives import Objective
from dropsmith.user_code import (
    SentModules,
    import_instance,
    import_module,
    import_object,
    imported_object,
    is_reference,
    source_hash,
    user_fault,
)
from user_code.files import write

FILES = {
    "fails_as_imported": "x = 1\n\ny = x / 0\n",
    "needs_what_is_missing": "import dropsmith\nimport no_such_module_at_all\n",
    "has_a_typing_error": "x = 1\ndef f(:\n",
    "ends_the_program": "raise SystemExit(3)\n",
    "math": "def mine(): ...\n",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    for name, text in FILES.items():
        write(tmp_path, name, text)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("myfile:Cosine", True),
        ("package.module:VALUE", True),
        ("größe:Wert", True),
        ("r-drop", False),
        ("C:/data/cats", False),
        ("C:\\cats", False),
        ("hf://user/repo", False),
        ("a:b:c", False),
        (":b", False),
        ("a:", False),
        ("1a:b", False),
        ("a.:b", False),
        (None, False),
    ],
)
def test_a_reference_is_two_names_with_a_colon(text, verdict):
    assert is_reference(text) is verdict


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (
            "fails_as_imported:x",
            r"ZeroDivisionError: division by zero\n  at .*imported\.py, line 3",
        ),
        ("needs_what_is_missing:x", r"No module named 'no_such[\s\S]*missing\.py, line 2"),
        ("has_a_typing_error:x", r"SyntaxError[\s\S]*error\.py, line 2"),
        ("ends_the_program:x", r"SystemExit: 3\n  at .*program\.py, line 1"),
        ("fails_as_importd:x", r"neither here in [\s\S]*did you mean 'fails_as_imported'"),
        ("no_package_here.inner:x", "neither here in"),
        ("myfile.py:x", "give the name of the module, 'myfile'"),
        ("folder/myfile.py:x", "give the name of the module, 'myfile'"),
        ("a b:x", "it is no name of a module"),
        ("json:lods", r"has no object 'lods'\n  did you mean 'loads'"),
        ("math:mine", r"it is that of .*\n  rename math\.py"),
        ("nothing", "name it as package.module:NAME"),
    ],
)
def test_what_cannot_be_followed_is_said_in_one_sentence(here, reference, says):
    with pytest.raises(PatternError, match=says) as raised:
        import_object(reference, "pattern", PatternError)
    assert len(str(raised.value).splitlines()) <= 3


def test_a_class_is_called_and_what_is_of_another_kind_is_refused(here):
    write(here, "kinds_of_values", "import dropsmith as ds\nONE = ds.RDrop(alpha=1)\nTWO = 2\n")
    assert import_instance("kinds_of_values:ONE", Objective, "objective").views_at(1) == 2  # type: ignore
    assert import_instance("dropsmith.objectives:TwoSample", Objective, "objective")  # type: ignore
    with pytest.raises(TaskError, match=r"kinds_of_values:TWO is no objective: it is 2"):
        import_instance("kinds_of_values:TWO", Objective, "objective")  # type: ignore
    with pytest.raises(TaskError, match=r"without arguments[\s\S]*VALUE = RDrop\(\.\.\.\)"):
        import_instance("dropsmith.objectives:RDrop", Objective, "objective")  # type: ignore


def test_a_name_in_a_file_is_looked_up_and_never_imported(here):
    write(here, "seen_or_not", "VALUE = 5\ndef __getattr__(name): raise SystemExit\n")
    assert imported_object("seen_or_not:VALUE") is None
    assert "seen_or_not" not in sys.modules
    import_module("seen_or_not")
    assert imported_object("seen_or_not:VALUE") == 5
    assert imported_object("seen_or_not:OTHER") is None  # and no code of the module runs


@pytest.mark.slow
def test_another_process_imports_what_it_is_sent_first(here):
    name = write(here, "sent_to_a_child", "class Value:\n    number = 7\n")
    value = import_module(name).Value()
    text = pickle.dumps((SentModules.of_this_process(), value))
    code = "import pickle, sys; made = pickle.loads(sys.stdin.buffer.read())[1]; print(made.number)"
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=text, capture_output=True, cwd=here, env=environment)
    assert done.stdout.split() == [b"7"], done.stderr.decode()
    assert name in SentModules.of_this_process().names


def test_nothing_is_sent_where_the_search_path_leads_to_the_folder(here, monkeypatch):
    import_module(write(here, "on_the_path", ""))
    monkeypatch.syspath_prepend(str(here))
    assert SentModules.of_this_process().names == ()


def test_the_hash_is_of_modules_that_are_not_installed_and_of_what_they_use(here):
    write(here, "used_by_the_other", "WIDTH = 3\ndef width(): return WIDTH\n")
    write(here, "hashed_alone", "from used_by_the_other import width\n")
    import_module("hashed_alone")
    before = source_hash(["hashed_alone"])
    assert before is not None
    assert source_hash(["hashed_alone", "json", "torch.nn", "never_imported"]) == before
    assert source_hash(["json", "torch.nn", "dropsmith.rng"]) is None
    write(here, "used_by_the_other", "WIDTH = 4\ndef width(): return WIDTH\n")
    assert source_hash(["hashed_alone"]) not in (None, before)


def test_the_line_of_a_fault_is_that_of_the_users_file(here):
    write(here, "calls_a_library", "import json\n\ndef read():\n    return json.loads('{')\n")
    module = import_module("calls_a_library")
    with pytest.raises(ValueError, match="Expecting") as raised:
        module.read()
    place = user_fault(raised.value)
    assert place == "calls_a_library.py, line 4"
