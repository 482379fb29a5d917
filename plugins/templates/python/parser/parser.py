"""Reads reports of which each line is a JSON object.

- A column is the value of its name in the object. Times are text such as
  `2026-10-01T05:00:00Z`.
- A line that is no object, or has a value that does not fit its column, is
  rejected.
"""

import json

from gristmill import LineParser


class Stage(LineParser):
    def record(self, line):
        try:
            return json.loads(line)
        except ValueError as error:
            self.reject("not-json", str(error))
