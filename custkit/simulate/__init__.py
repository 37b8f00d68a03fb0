"""Juniper Lane, the simulated company of the course: one module per block of its generating process."""
