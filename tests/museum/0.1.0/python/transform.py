"""Doubles `usage`, writes `pod` in capitals, rejects rows with a negative usage."""

import json

from componentize_py_types import Err
from wit_world.exports import transform
from wit_world.imports import log, types

USAGE = types.Field("usage", types.ColumnType.FLOAT64)
POD = types.Field("pod", types.ColumnType.DICTIONARY)


class Stage(transform.Stage):
    @classmethod
    def open(cls, options):
        for key in json.loads(options.config):
            raise Err(types.Failure_Config(types.ConfigFault(key, "is not known")))
        log.write(log.Level.DEBUG, "opened")
        return cls()

    def contract(self):
        return transform.Contract([USAGE, POD], [USAGE, POD], [], transform.RowEffect.KEEPS)

    def process(self, batch):
        usage, pod = batch.columns
        doubled = types.Values_Float64([value * 2 for value in usage.values.value])
        names = pod.values.value
        capitals = types.Utf8Values(names.values.offsets, names.values.data.upper())
        rejects = [
            types.Reject(row, "usage", "negative", "is below zero")
            for row, value in enumerate(usage.values.value)
            if value < 0
        ]
        columns = [
            types.Column(usage.validity, doubled),
            types.Column(
                pod.validity, types.Values_Dictionary(types.DictionaryValues(names.keys, capitals))
            ),
        ]
        return transform.Output(batch.rows, columns, None, 0, rejects)

    def finish(self):
        return [types.Fact("museum", ["python"])]
