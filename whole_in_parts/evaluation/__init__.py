"""Evaluation: probes, nearest neighbours, corruptions, attacks, transfer tasks and analyses."""
