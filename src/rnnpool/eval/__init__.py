"""Evaluation: the WIDER FACE protocol, average precision, precision-recall plots, submission files."""
