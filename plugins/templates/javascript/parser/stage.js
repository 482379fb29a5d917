/**
 * Reads reports of which each line is a JSON object.
 *
 * - A column is the value of its name in the object. Times are text such as
 *   `2026-10-01T05:00:00Z`.
 * - A line that is no object, or has a value that does not fit its column, is
 *   rejected.
 */

import { LineParser } from './gristmill.js';

class Stage extends LineParser {
  record(line) {
    try {
      return JSON.parse(line);
    } catch (error) {
      this.reject('not-json', error.message);
    }
  }
}

export const parser = { Stage };
