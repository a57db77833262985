"""How the sites that are calls are named."""

from dropsmith.sites.site import Kind

_CALLS = {"functional": "dropout()", "attention": "attention()", "between": "between()"}


def call_name(owner: str, kind: Kind) -> str:
    """The name of the site of an owner's calls of one kind.

    >>> call_name("encoder.layer.0", "attention")
    'encoder.layer.0.attention()'
    """
    return f"{owner}.{_CALLS[kind]}"
