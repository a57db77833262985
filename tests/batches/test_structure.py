"""Containers come back as they were, with other leaves; the caller's are never changed."""

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
import torch
from torch import Tensor
from transformers import BatchEncoding, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from batches.zoo import Moments, Pair, drawn
from dropsmith.batches import leading_tensor, leaves_of, map_leaves, tensors_in, with_leading_tensor
from dropsmith.batches.structure import is_cache, parts_of, rebuilt
from dropsmith.errors import SiteError
from noise.sequences import PACKED

A, B = drawn(3, 2), drawn(3, 2, seed=1)


class Own(MutableMapping):
    """A mapping around a dictionary of its own."""

    def __init__(self) -> None:
        self.held, self.device = {"a": A, "b": B}, "cpu"

    def __getitem__(self, name):
        return self.held[name]

    def __setitem__(self, name, value):
        self.held[name] = value

    def __delitem__(self, name):
        del self.held[name]

    def __iter__(self):
        return iter(self.held)

    def __len__(self):
        return len(self.held)


@dataclass(frozen=True)
class Frozen:
    a: Tensor
    b: Tensor
    count: int = field(default=2, init=False)


def cache() -> DynamicCache:
    keys = DynamicCache()
    for layer in (0, 1):
        keys.update(drawn(3, 2, 1, 4, seed=layer), drawn(3, 2, 1, 4, seed=9 + layer), layer)
    return keys


CONTAINERS = [
    (A, B),
    [A, B],
    {"a": A, "b": B},
    OrderedDict(b=B, a=A),
    defaultdict(list, a=A, b=B),
    UserDict(a=A, b=B),
    MappingProxyType({"a": A, "b": B}),
    Own(),
    Pair(A, B),
    namedtuple("Loose", "a b")(A, B),
    Moments(A, B, "name"),
    Frozen(A, B),
    BatchEncoding({"a": A, "b": B}),
    SequenceClassifierOutput(loss=A.mean(), logits=B, hidden_states=(A, B)),
    BaseModelOutput(last_hidden_state=A),
    torch.max(A, 1),
    cache(),
    EncoderDecoderCache(cache(), cache()),
    {"deep": [(A, {"b": Pair(A, B)}), None, 3, "text"]},
]


@pytest.mark.parametrize("value", CONTAINERS, ids=lambda value: type(value).__name__)
def test_a_container_comes_back_as_it_was_with_other_leaves(value):
    before = [(leaf, leaf.clone()) for leaf in tensors_in(value)]
    twin = map_leaves(lambda leaf: leaf + 1 if isinstance(leaf, Tensor) else leaf, value)
    assert type(twin) is type(value)
    after = tensors_in(value)
    assert len(before) == len(after) > 0
    for (tensor, old), new, changed in zip(before, after, tensors_in(twin), strict=True):
        assert new is tensor
        assert torch.equal(new, old)
        assert torch.equal(changed, old + 1)


@pytest.mark.parametrize("value", CONTAINERS, ids=lambda value: type(value).__name__)
def test_other_leaves_stay_what_they_were(value):
    plain = [leaf for leaf in leaves_of(value) if not isinstance(leaf, Tensor)]
    twin = map_leaves(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, value)
    others = [leaf for leaf in leaves_of(twin) if not isinstance(leaf, Tensor)]
    assert len(plain) == len(others)
    assert all(a is b or a == b for a, b in zip(plain, others, strict=True))


def test_attributes_beside_the_items_of_a_mapping_stay():
    own = Own()
    own.device = "there"
    twin = map_leaves(lambda leaf: leaf + 1, own)
    assert twin.device == "there"
    assert twin.held is not own.held


def test_a_field_of_a_dataclass_that_is_not_an_argument_stays():
    assert map_leaves(lambda leaf: leaf, Frozen(A, B)).count == 2


def test_an_output_of_transformers_is_read_by_name_and_by_number_afterwards():
    output = SequenceClassifierOutput(loss=A.mean(), logits=B)
    twin = map_leaves(lambda leaf: leaf * 2, output)
    assert torch.equal(twin.logits, B * 2)
    assert torch.equal(twin[1], twin["logits"])
    assert twin.hidden_states is None


def test_an_output_of_transformers_keeps_what_its_class_does_not_take():
    output = SequenceClassifierOutput(logits=B)
    output["router_logits"] = (A, A + 1)
    twin = map_leaves(lambda leaf: leaf * 2, output)
    assert list(twin) == ["logits", "router_logits"]
    assert torch.equal(twin["router_logits"][1], 2 * (A + 1))
    assert torch.equal(twin.logits, B * 2)
    assert torch.equal(output["router_logits"][0], A)


def test_a_cache_is_written_into_without_its_twin():
    keys = cache()
    twin = map_leaves(lambda leaf: leaf, keys)
    twin.update(drawn(3, 2, 1, 4), drawn(3, 2, 1, 4), 0)
    assert (keys.get_seq_length(), twin.get_seq_length()) == (1, 2)


@pytest.mark.parametrize("leaf", [A, PACKED, torch.Size([2]), "text", 3, 0.5, None, True, Tensor])
def test_what_is_no_container_is_a_leaf(leaf):
    assert parts_of(leaf) is None
    assert next(leaves_of(leaf)) is leaf


def test_only_objects_named_so_are_caches():
    assert is_cache(cache())
    assert is_cache(cache().layers[0])
    assert not is_cache(torch.nn.Linear(1, 1))
    assert not is_cache({"Cache": A})


def test_a_list_is_a_leaf_where_that_is_asked_for_and_a_tuple_is_none():
    value = {"images": [A, B], "pair": (A, [B])}
    assert [type(leaf) for leaf in leaves_of(value, lists=True)] == [list, Tensor, list]
    twin = map_leaves(lambda leaf: leaf[:1] if isinstance(leaf, list) else leaf, value, lists=True)
    assert len(twin["images"]) == 1


def test_tensors_inside_packed_sequences_are_found():
    assert tensors_in((A, {"x": PACKED}))[1] is PACKED.data


@pytest.mark.parametrize("output", [A, (A, B), [A], {"a": A, "b": B}, Pair(A, B)])
def test_the_leading_tensor_is_replaced_and_the_rest_stays(output):
    assert leading_tensor(output, "site") is A
    twin = with_leading_tensor(output, B)
    assert type(twin) is type(output)
    assert leading_tensor(twin, "site") is B
    assert len(tensors_in(twin)) == len(tensors_in(output))


@pytest.mark.parametrize("output", [None, 3, (), {}, (None, A), "text"])
def test_an_output_without_a_leading_tensor_is_an_error_that_names_the_site(output):
    with pytest.raises(SiteError, match="site 'block' returned a"):
        leading_tensor(output, "block")


def test_parts_go_back_in_their_order():
    assert rebuilt((1, 2), [3, 4]) == (3, 4)
    assert rebuilt(OrderedDict(b=1, a=2), [3, 4]) == OrderedDict(b=3, a=4)
