"""Files written whole or not at all, and JSON and tensors that are checked as they are read."""

from dropsmith.files.json_files import check, parse_json, read_json
from dropsmith.files.tensor_files import plain_tensors, read_tensors, write_tensors
from dropsmith.files.whole_files import whole_file, write_text

__all__ = [
    "check",
    "parse_json",
    "plain_tensors",
    "read_json",
    "read_tensors",
    "whole_file",
    "write_tensors",
    "write_text",
]
