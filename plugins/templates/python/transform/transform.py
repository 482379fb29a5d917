"""Charges CPU usage at a part of its price.

- reads and writes the `float64` column `pod_usage_cpu_core_seconds`;
- configuration: `factor`, a number from 0 to 1 (0.5);
- keeps every row.
"""

from gristmill import Transform

USAGE = "pod_usage_cpu_core_seconds"


class Stage(Transform):
    reads = {USAGE: "float64"}
    writes = {USAGE: "float64"}

    def configure(self, config):
        self.factor = config.number("factor", 0.5, least=0, most=1)

    def transform(self, usage):
        return usage.map(lambda core_seconds: core_seconds * self.factor)
