"""Formulas shared by the stages: distributions, units, the door to the solver."""
