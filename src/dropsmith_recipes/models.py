"""The models of the recipes, each a function of the data, so that a setup can name it.

`zaremba_…` are those of Zaremba et al. (2014), which Gal & Ghahramani (2016) regularise.
"""

from torch import nn

from dropsmith.models import RecurrentLM
from dropsmith.tasks import Data


def zaremba_medium(data: Data) -> nn.Module:
    """Two LSTM layers of 650, drawn from ± 0.05: 19,780,400 parameters on 10,000 words."""
    return RecurrentLM(words=data.classes, embedding_width=650, widths=(650, 650), uniform=0.05)


def zaremba_large(data: Data) -> nn.Module:
    """Two LSTM layers of 1500, drawn from ± 0.04: 66,034,000 parameters on 10,000 words."""
    return RecurrentLM(words=data.classes, embedding_width=1500, widths=(1500, 1500), uniform=0.04)


def zaremba_small(data: Data) -> nn.Module:
    """Two LSTM layers of 200, drawn from ± 0.1, as in Zaremba et al.'s smallest."""
    return RecurrentLM(words=data.classes, embedding_width=200, widths=(200, 200), uniform=0.1)


def awd(data: Data) -> nn.Module:
    """AWD-LSTM: 400 → 1150 → 1150 → 400 (Merity et al., 2018), head and embedding tied."""
    return RecurrentLM(words=data.classes, embedding_width=400, widths=(1150, 1150, 400), tied=True)


def awd_small(data: Data) -> nn.Module:
    """Its shape for CPU minutes: 100 → 200 → 200 → 100."""
    return RecurrentLM(words=data.classes, embedding_width=100, widths=(200, 200, 100), tied=True)


def one_layer(data: Data) -> nn.Module:
    """Fraternal Dropout's small model: one layer of 655, tied: 9,997,440 on 10,000 words."""
    return RecurrentLM(words=data.classes, embedding_width=655, widths=(655,), tied=True)


def one_layer_small(data: Data) -> nn.Module:
    """Its shape for CPU minutes: one layer of 200."""
    return RecurrentLM(words=data.classes, embedding_width=200, widths=(200,), tied=True)
