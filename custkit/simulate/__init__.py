"""Juniper Lane, the simulated company of the course: one module per block of its generating process."""

# Of twenty companies (20240101 to 20240120) the first in which every effect that a lesson teaches is shown
# by its 95 % interval; `datasets/RECOVERY.md` says how often that happens by other seeds.
SEED = 20240115
