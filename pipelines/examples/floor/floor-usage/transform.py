"""Charges a pod for what it used, and at least for a part of what it requested.

That is the larger of the two, hour by hour: between the two policies that ship,
which charge the smaller or the larger of usage and request.

- needs the `float64` columns `pod_usage_cpu_core_seconds`,
  `pod_request_cpu_core_seconds`, `pod_usage_memory_byte_seconds` and
  `pod_request_memory_byte_seconds`;
- adds `pod_effective_usage_cpu_core_seconds` and
  `pod_effective_usage_memory_byte_seconds`; a missing usage or request counts as 0;
- configuration: `part` of the request, from 0 to 1 (0.5);
- keeps every row.
"""

from gristmill import Transform

MEASURES = ("cpu_core_seconds", "memory_byte_seconds")


class Stage(Transform):
    reads = {
        f"pod_{what}_{measure}": "float64" for measure in MEASURES for what in ("usage", "request")
    }
    writes = {f"pod_effective_usage_{measure}": "float64" for measure in MEASURES}

    def configure(self, config):
        self.part = config.number("part", 0.5, least=0, most=1)

    def transform(self, cpu_usage, cpu_request, memory_usage, memory_request):
        return self.charged(cpu_usage, cpu_request), self.charged(memory_usage, memory_request)

    def charged(self, usage, request):
        floors = [self.part * seconds for seconds in request.or_else(0.0)]
        return list(map(max, usage.or_else(0.0), floors))
