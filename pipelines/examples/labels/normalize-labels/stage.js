/**
 * Gives labels one spelling: `label_Application:Web` becomes `label_app:web`.
 *
 * - works on every text column whose name ends in `_labels`, before label-filter;
 * - keys and values become lower case, without spaces around them; `values = "as-is"`
 *   leaves the values as they are;
 * - configuration: `aliases`, other spellings of a key and the key that is meant
 *   (`{}`), and `values`, `"lower"` (the default) or `"as-is"`;
 * - keeps every row.
 */

import { Transform } from './gristmill.js';

const PREFIX = 'label_';

class Stage extends Transform {
  configure(config) {
    this.aliases = config.table('aliases', {});
    this.values = config.text('values', 'lower', { among: ['lower', 'as-is'] });
    const columns = Object.keys(this.schema).filter(
      (name) => name.endsWith('_labels') && ['utf8', 'dictionary'].includes(this.schema[name]),
    );
    this.reads = Object.fromEntries(columns.map((name) => [name, 'dictionary']));
    this.writes = this.reads;
  }

  transform(...columns) {
    return columns.map((column) => column.map((labels) => this.normalized(labels)));
  }

  normalized(labels) {
    return labels && labels.split('|').map((label) => this.label(label)).join('|');
  }

  label(label) {
    const colon = label.indexOf(':');
    if (!label.startsWith(PREFIX) || colon < 0) return label;
    const key = label.slice(PREFIX.length, colon).trim().toLowerCase();
    const value = label.slice(colon + 1).trim();
    return `${PREFIX}${this.aliases[key] ?? key}:${this.values === 'lower' ? value.toLowerCase() : value}`;
  }
}

export const transform = { Stage };
