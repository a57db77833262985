"""Measures of predictions: calibration, selective prediction, temperatures, conformal sets."""

from dropsmith.measures.calibration import Binning, Reliability, calibration_error, reliability
from dropsmith.measures.conformal import ConformalIntervals, ConformalSets
from dropsmith.measures.items import labelled_items
from dropsmith.measures.selection import RiskCoverage, auroc, risk_coverage
from dropsmith.measures.temperature import fit_temperature, scale_by_temperature
from dropsmith.measures.variation import variation_ratio

__all__ = [
    "Binning",
    "ConformalIntervals",
    "ConformalSets",
    "Reliability",
    "RiskCoverage",
    "auroc",
    "calibration_error",
    "fit_temperature",
    "labelled_items",
    "reliability",
    "risk_coverage",
    "scale_by_temperature",
    "variation_ratio",
]
