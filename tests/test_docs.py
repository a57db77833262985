"""What the documents show is what the records in results/ say."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def refilled(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "results", tmp_path / "results")
    shutil.copy(ROOT / "README.md", tmp_path)
    script = [sys.executable, str(tmp_path / "docs" / "tables.py")]
    subprocess.run(script, check=True, capture_output=True, cwd=tmp_path)
    return tmp_path


def test_every_table_in_the_documents_is_the_one_its_records_give(refilled):
    pages = [refilled / "README.md", *(refilled / "docs").rglob("*.md")]
    drifted = [
        str(page.relative_to(refilled))
        for page in pages
        if page.read_text() != (ROOT / page.relative_to(refilled)).read_text()
    ]
    assert drifted == []


def test_the_pages_that_show_numbers_are_filled(refilled):
    assert "| dropout |" in (refilled / "README.md").read_text().replace("**", "")
