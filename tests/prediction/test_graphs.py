"""Graphs: rows are nodes that look at each other, so the batch is never cut."""

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.prediction import predict
from prediction.by_hand import check_classes, close, numbers, outputs_by_hand
from prediction.noisy import seeded

NODES = seeded(10, 4)
EDGES = torch.randint(0, 10, (2, 24), generator=torch.Generator().manual_seed(2))
DENSE = (torch.rand(10, 10, generator=torch.Generator().manual_seed(3)) < 0.3).float()
GRAPHS = torch.tensor([0] * 4 + [1] * 3 + [2] * 3)


class Convolution(nn.Module):
    """Two sums over neighbours, with dropout between them (Kipf & Welling, 2017)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.drop = nn.Linear(4, 8), nn.Linear(8, 3), nn.Dropout(0.5)

    def gather(self, x, edge_index):
        return x.index_add(0, edge_index[1], x[edge_index[0]])

    def forward(self, x, edge_index):
        h = self.drop(self.gather(self.first(x), edge_index).relu())
        return self.gather(self.second(h), edge_index)


class Pooled(Convolution):
    """A prediction for each of several graphs, which lie in one batch."""

    def forward(self, x, edge_index, batch):
        h = super().forward(x, edge_index)
        return h.new_zeros(int(batch.max()) + 1, 3).index_add(0, batch, h)


class Matrix(Convolution):
    def forward(self, x, edge_index):
        h = self.drop((edge_index @ self.first(x)).relu())
        return edge_index @ self.second(h)


class Graph:
    def __init__(self, x, edge_index):
        self.x, self.edge_index = x, edge_index


class OnGraph(Convolution):
    def forward(self, graph):
        return super().forward(graph.x, graph.edge_index)


class Writing(Convolution):
    """A model that works on the graph that it is given."""

    def forward(self, graph):
        graph.x.relu_()
        graph.x = super().forward(graph.x, graph.edge_index)
        return graph.x


CASES = {
    "edges": (Convolution, (NODES, EDGES)),
    "edges by name": (Convolution, {"x": NODES, "edge_index": EDGES}),
    "as many edges as nodes": (Convolution, (NODES, EDGES[:, :10])),
    "edges between the first nodes": (Convolution, (NODES, EDGES % 2)),
    "no edges": (Convolution, (NODES, EDGES[:, :0])),
    "two nodes": (Convolution, (NODES[:2], EDGES % 2)),
    "one node": (Convolution, (NODES[:1], EDGES % 1)),
    "nodes alike": (Convolution, (torch.ones(10, 4), EDGES)),
    "several graphs": (Pooled, (NODES, EDGES, GRAPHS)),
    "a matrix": (Matrix, (NODES, DENSE)),
    "a sparse matrix": (Matrix, (NODES, DENSE.to_sparse())),
    "an object": (OnGraph, (Graph(NODES, EDGES),)),
    "an object alone": (OnGraph, Graph(NODES, EDGES)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_sample_is_a_pass_over_the_whole_graph(name):
    make, batch = CASES[name]
    model, plan = make(), Plan(rule("first", Bernoulli(rate=0.3)))
    found = predict(model, batch, 5, plan=plan)
    check_classes(found, torch.stack(outputs_by_hand(model, batch, 5, plan=plan)), -1)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("features", [False, True])
def test_compressed_matrices_are_taken_as_they_are(features):
    batch = (DENSE @ NODES, DENSE.to_sparse_csr())
    if features:
        batch = ((DENSE @ NODES).relu().to_sparse_csr(), DENSE.to_sparse_csr())
    found = predict(Matrix(), batch, 5)
    check_classes(found, torch.stack(outputs_by_hand(Matrix(), batch, 5)), -1)


def test_nodes_that_are_said_to_be_rows_are_not_cut_either():
    found = predict(Convolution(), (NODES, EDGES), 5, rows={"edge_index": None})
    check_classes(found, torch.stack(outputs_by_hand(Convolution(), (NODES, EDGES), 5)), -1)


def test_a_graph_that_the_model_writes_to_is_the_same_for_every_sample():
    graph = Graph(NODES.clone(), EDGES)
    found = predict(Writing(), graph, 5, kind="regression", keep=True)
    by_hand = outputs_by_hand(OnGraph(), Graph(NODES.relu(), EDGES), 5)
    close(found.draws, numbers(torch.stack(by_hand)))
    assert torch.equal(graph.x, NODES)


def test_a_larger_graph_is_looked_at_anew():
    model = OnGraph()
    for count in (10, 7, 12):
        graph = Graph(seeded(count, 4), EDGES % count)
        found = predict(model, graph, 4)
        check_classes(found, torch.stack(outputs_by_hand(model, graph, 4)), -1)


def test_a_mask_leaves_nodes_out():
    mask = torch.arange(10) < 6
    found = predict(Convolution(), (NODES, EDGES), 5, mask=mask)
    assert found.to_table()["id"] == [str(number) for number in range(1, 7)]
    with pytest.raises(NoiseError, match="does not fit"):
        predict(Convolution(), (NODES, EDGES), 5, mask=mask[:6])
