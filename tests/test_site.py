"""The site of docs/ is built without a warning, and shows the docstrings."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import dropsmith

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; warnings, such as links that lead nowhere, end the build."""
    pytest.importorskip("zensical", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "src").symlink_to(ROOT / "src")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    output = result.stdout + result.stderr  # faults of docstrings do not fail the build
    assert [line for line in output.splitlines() if line.startswith(("griffe", "WARNING"))] == []
    return folder / "site"


def test_every_document_is_a_page_of_the_site(site):
    documents = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
    pages = [path.with_suffix("") if path.name != "README.md" else Path() for path in documents]
    assert [page for page in pages if not (site / page / "index.html").exists()] == []


def test_every_document_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text()
    documents = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert [str(path) for path in documents if f"- {path}\n" not in contents] == []


def test_every_public_name_is_on_a_page_of_the_reference():
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    names = [line.rpartition(".")[2] for line in pages.splitlines() if line.startswith("::: ")]
    others = {
        "DropsmithError",
        "recurrent",
        "spaces",
        "sklearn",
        "__version__",
    }  # a page, modules, a text
    assert set(dropsmith.__all__) - set(names) == others


def test_the_reference_has_each_name_as_users_type_it(site):
    for page in (site / "reference").rglob("index.html"):
        heads = re.findall(
            r'<h2 id="dropsmith[^"]*" class="doc doc-heading">(.*?)</h2>',
            page.read_text(),
            re.DOTALL,
        )
        names = [re.sub(r"<[^>]*>|\s|&para;", " ", head).split()[0] for head in heads]
        assert names
        assert len(names) == len(set(names))
        modules = [name for name in names if isinstance(_object_at(name), ModuleType)]
        assert modules in ([], ["dropsmith.errors"])


def _object_at(name):
    """The object of a full name, such as `dropsmith.spaces.conv`."""
    found = dropsmith
    for word in name.split(".")[1:]:
        if not hasattr(found, word):
            import_module(f"{found.__name__}.{word}")
        found = getattr(found, word)
    return found


def test_docstrings_are_pages_with_their_examples_as_code(site):
    page = (site / "reference" / "plans" / "index.html").read_text()
    assert 'id="dropsmith.Plan.install"' in page
    assert "<blockquote>" not in page
    assert "gt;&gt;&gt; " in page


def test_a_reader_loads_nothing_from_other_hosts(site):
    pages = "".join(path.read_text() for path in site.rglob("*.html"))
    assert 'src="http' not in pages
    assert 'rel="stylesheet" href="http' not in pages


def test_names_of_functions_are_found_by_the_search(site):
    assert "dropsmith.Plan" in (site / "search.json").read_text()
