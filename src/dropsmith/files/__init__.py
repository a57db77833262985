"""Files that are written whole or not at all, and JSON that is checked as it is read."""

from dropsmith.files.json_files import check, read_json
from dropsmith.files.whole_files import whole_file, write_text

__all__ = ["check", "read_json", "whole_file", "write_text"]
