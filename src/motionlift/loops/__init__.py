"""The loops that run a network: sampling, tuning, inversion, and the stages of a cascade."""
