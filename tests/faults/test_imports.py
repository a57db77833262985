"""Loading imports and runs nothing that a file names: the module that is named is watched."""

import copy
import importlib
import itertools
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dropsmith.compare import Comparison
from dropsmith.errors import DropsmithError
from dropsmith.files import read_tensors
from dropsmith.learn import Searches
from dropsmith.models.pretrained import load_pretrained, transformers_library
from dropsmith.pattern_search import RandomSampler, load_state, save_state
from dropsmith.plans import Plan, library
from dropsmith.run_folder import load, load_weights
from dropsmith.train import Start
from dropsmith.train.checkpoint import _hash
from dropsmith.train.nested_tensors import unpack
from faults.canary import NAME, NAMES, PICKLE, Canary, assert_wakes, source, watched_imports
from faults.inputs import KINDS
from faults.mutate import keys_of
from pattern_search.small import SPACE


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    with watched_imports(tmp_path) as canary:
        yield canary


def test_the_watcher_sees_an_import_of_every_kind(canary: Canary):
    assert canary.seen == []
    assert_wakes(canary)


STRUCTURES = [
    *(
        [1, {"type": "collections.defaultdict", "context": context, "children_spec": []}]
        for context in (
            {"default_factory_module": NAME, "default_factory_name": name, "dict_context": []}
            for name in ("call", "Class")
        )
    ),
    [1, {"type": "builtins.dict", "context": '[{"__enum__": true, "fqn": "NAME:call"}]'}],
]
"""Tree specifications of torch, in the two ways in which its reader imports what they name."""


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_structure_of_a_state_loads_nothing(structure: Any, canary: Canary):
    text = json.dumps(structure).replace("NAME", NAME)
    for values in (text, json.loads(text)):
        with pytest.raises(DropsmithError):
            unpack({}, values)
    assert canary.seen == []


EXTRA = dict(zip(("__class__", "_target_", "py/object"), NAMES, strict=False))
"""Fields by which libraries know what to make."""


_MOST = 8
"""Places of a file that are tried; there are hundreds in some, all alike."""


def hostile(values: Any) -> Iterator[Any]:
    """The values with a name of the module in the place of each text, one after the other."""
    names, places = itertools.cycle(NAMES), list(_places(values))
    for place in random.Random(0).sample(places, min(len(places), _MOST)):
        changed = copy.deepcopy(values)
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        inner = holder[place[-1]] if place else holder
        if isinstance(inner, dict):
            inner |= EXTRA
        elif isinstance(inner, str):
            holder[place[-1]] = next(names)
        else:
            continue
        yield changed
    yield {**EXTRA, "value": values}


def _places(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict) or (isinstance(values, str) and place):
        yield place
    for key in keys_of(values):
        yield from _places(values[key], (*place, key))


def json_contents(data: bytes) -> Iterator[bytes]:
    for values in hostile(json.loads(data)):
        yield json.dumps(values).encode()


def table_contents(data: bytes) -> Iterator[bytes]:
    for word in (b"positive", b"good text number 1", b"label", b"text"):
        for name in NAMES:
            yield data.replace(word, name.encode())


def journal_contents(data: bytes) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines[:8]):
        for values in hostile(json.loads(line)):
            changed = json.dumps(values).encode() + b"\n"
            yield b"".join([*lines[:number], changed, *lines[number + 1 :]])


LOADERS: dict[str, Callable[[Path], object]] = {
    "comparison": Comparison.load,
    "record of a comparison": Comparison.load,
    "search": Searches.load,
}
"""The loaders of kinds that are read into a whole page elsewhere."""

CONTENTS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    **{name: json_contents for name, kind in KINDS.items() if kind.is_json},
    "table": table_contents,
    "table of lines": table_contents,
    "journal": journal_contents,
}
"""Hostile contents of the kinds of files that a text can be put into."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.share == 1])
def test_a_file_loads_nothing_that_it_names(name: str, tmp_path: Path):
    kind, whole, folder = KINDS[name], tmp_path / "whole", tmp_path / "copy"
    whole.mkdir()
    broken = kind.make(whole).relative_to(whole)
    data = (whole / broken).read_bytes()
    read = LOADERS.get(name, kind.read)
    read(shutil.copytree(whole, folder))  # whatever reading needs is imported now
    contents = CONTENTS.get(name, lambda data: iter(()))(data)
    with watched_imports(tmp_path) as canary:
        for content in (*contents, PICKLE, data + PICKLE):
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
            (folder / broken).write_bytes(content)
            with suppress(Exception):
                read(folder)
            assert canary.seen == [], content


def test_the_header_of_a_checkpoint_loads_nothing(tmp_path: Path):
    kind = KINDS["checkpoint"]
    path = kind.make(tmp_path)
    kind.read(tmp_path)
    tensors, texts = read_tensors(path)
    header = json.loads(texts["dropsmith"])
    structures: list[Any] = [json.loads(json.dumps(s).replace("NAME", NAME)) for s in STRUCTURES]
    carried = [*structures, *map(json.dumps, structures)]
    headers = [header | {"values": header["values"] | {"carried": value}} for value in carried]
    with watched_imports(tmp_path) as canary:
        for values in (*headers, *hostile(header)):
            text = json.dumps(values)
            save_file(tensors, path, {"dropsmith": text, "sha256": _hash(text, tensors)})
            with suppress(DropsmithError):
                kind.read(tmp_path)
            assert canary.seen == [], values


@pytest.mark.slow
def test_the_rows_of_a_database_load_nothing(tmp_path: Path):
    kind, folder = KINDS["database"], tmp_path / "copy"
    (tmp_path / "whole").mkdir()
    broken = kind.make(tmp_path / "whole").name
    with closing(sqlite3.connect(tmp_path / "whole" / broken)) as base:
        rows = base.execute("select name from sqlite_master where type = 'table'").fetchall()
        tables = [
            name for (name,) in rows if base.execute(f"select count(*) from {name}").fetchone()[0]
        ]
        described = {name: base.execute(f"pragma table_info({name})").fetchall() for name in tables}
    columns = {name: [r[1] for r in rows if r[2] != "INTEGER"] for name, rows in described.items()}
    assert "value_json" in columns["trial_user_attributes"]
    with watched_imports(tmp_path) as canary:
        for (table, names), value in zip(columns.items(), itertools.cycle((*NAMES, PICKLE))):
            shutil.copytree(tmp_path / "whole", folder)
            for column in names:
                with suppress(sqlite3.Error), closing(sqlite3.connect(folder / broken)) as base:
                    base.execute(f"update {table} set {column} = ?", (value,))
                    base.commit()
            with suppress(DropsmithError):
                kind.read(folder)
            shutil.rmtree(folder)
            assert canary.seen == [], table


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("imported", [False, True])
def test_what_a_plan_names_is_no_pattern_until_a_person_imports_one(
    name: str, imported: bool, canary: Canary
):
    """Even the classes of an imported module are made only where they are patterns."""
    if imported:
        importlib.import_module(NAME)
    before = list(canary.seen)
    for pattern in ({"pattern": name, "rate": 0.1}, {"pattern": "Bernoulli", "rate": {}}):
        if isinstance(pattern["rate"], dict):
            pattern["rate"] = {"schedule": name, "rate": 0.1}
        rules = [{"sites": "a"} | pattern]
        with pytest.raises(DropsmithError):
            Plan.from_json({"format": "dropsmith.plan", "version": 2, "rules": rules})
    assert canary.seen == before


def test_the_state_of_a_sampler_loads_nothing(tmp_path: Path):
    path, sampler = tmp_path / "state", RandomSampler(SPACE)
    with watched_imports(tmp_path) as canary:
        for values in hostile(json.loads(json.dumps(sampler.state()))):
            save_state(values, path)
            with suppress(DropsmithError):
                sampler.restore(load_state(path))
        path.write_bytes(PICKLE)
        with pytest.raises(DropsmithError):
            load_state(path)
        assert canary.seen == []


class _Reduced:
    """Is written by pickle as a call of the module's function."""

    def __reduce__(self) -> Any:
        from importlib import import_module

        return import_module(NAME).call, ()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin", ".ckpt"])
def test_weights_load_nothing_whatever_their_file_is_called(suffix: str, tmp_path: Path):
    path, first = tmp_path / f"model{suffix}", tmp_path / "first"
    first.mkdir()
    with watched_imports(first):
        torch.save({"weight": _Reduced()}, path)
    with watched_imports(tmp_path) as canary:
        for data in (path.read_bytes(), PICKLE):
            path.write_bytes(data)
            with pytest.raises(DropsmithError, match="cannot read weights"):
                load_weights(torch.nn.Linear(2, 1), Start.of(path).weights)
        save_file({NAME: torch.ones(1)}, path, {"format": NAMES[1], "class": NAMES[3]})
        with pytest.raises(DropsmithError, match="of another model"):
            load_weights(torch.nn.Linear(2, 1), path)
        assert canary.seen == []


@pytest.mark.parametrize("name", NAMES)
def test_a_function_that_a_runs_folder_names_is_not_looked_for(name: str, tmp_path: Path):
    folder = tmp_path / "run"
    KINDS["configuration of a run"].make(folder)
    path = folder / "config.json"
    values = json.loads(path.read_bytes())
    values["model"] = {"source": "function", "function": name, "sha256": None}
    path.write_text(json.dumps(values))
    with watched_imports(tmp_path) as canary:
        with pytest.raises(DropsmithError, match="model=FUNCTION"):
            load(folder)
        assert canary.seen == []


@pytest.mark.filterwarnings("ignore")
def test_the_folder_of_a_run_of_transformers_loads_nothing(tmp_path: Path):
    from dropsmith.models import PretrainedClassifier
    from run_folder.test_pretrained import NAMES as CLASSES
    from run_folder.test_pretrained import SMALL, TEXTS, finished

    library = transformers_library("a tiny model")
    config = library.BertConfig(**SMALL, num_labels=3)
    net = library.AutoModelForSequenceClassification.from_config(config)
    whole, folder = tmp_path / "whole", tmp_path / "copy"
    finished(PretrainedClassifier.around(net), TEXTS, CLASSES).write(whole)
    load(whole)
    names = [path.name for path in whole.iterdir() if path.suffix == ".json"]
    with watched_imports(tmp_path) as canary:
        for name in names:
            values = json.loads((whole / name).read_bytes())
            code = {"auto_map": {"AutoConfig": NAMES[3]}, "tokenizer_class": NAMES[3]}
            for changed in (*hostile(values), values | code, values | {"architectures": [NAME]}):
                shutil.copytree(whole, folder)
                (folder / f"{NAME}.py").write_text(source(canary.marks))
                (folder / "pytorch_model.bin").write_bytes(PICKLE)
                (folder / name).write_text(json.dumps(changed))
                with suppress(Exception):
                    load(folder)
                shutil.rmtree(folder)
                assert canary.seen == [], (name, changed)


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_by_name_or_from_the_hub_loads_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = json.loads(KINDS["plan"].make(tmp_path).read_bytes())
    (path := tmp_path / "fetched").touch()
    monkeypatch.setattr(library, "_fetch", lambda address: path)
    with watched_imports(tmp_path) as canary:
        with pytest.raises(DropsmithError):
            Plan.load(name)
        for values in hostile(plan):
            path.write_text(json.dumps(values))
            with suppress(DropsmithError):
                Plan.load(f"hf://{NAME}/{name}/plan.json")
        assert canary.seen == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bert", NAME])
def test_the_folder_of_a_pretrained_model_loads_nothing(kind: str, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    classes = {"AutoConfig": NAMES[3], "AutoModelForSequenceClassification": NAMES[3]}
    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    config = {"model_type": kind, "auto_map": classes, "architectures": [NAMES[3]], **sizes}
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 4}))
    library_classes = transformers_library(str(folder)).AutoModelForSequenceClassification
    with watched_imports(tmp_path) as canary:
        (folder / f"{NAME}.py").write_text(source(canary.marks))
        (folder / "pytorch_model.bin").write_bytes(PICKLE)
        with pytest.raises(DropsmithError, match="cannot"):
            load_pretrained(str(folder), library_classes.from_pretrained, num_labels=2)
        assert canary.seen == []
