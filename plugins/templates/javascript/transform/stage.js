/**
 * Charges CPU usage at a part of its price.
 *
 * - reads and writes the `float64` column `pod_usage_cpu_core_seconds`;
 * - configuration: `factor`, a number from 0 to 1 (0.5);
 * - keeps every row.
 */

import { Transform } from './gristmill.js';

const USAGE = 'pod_usage_cpu_core_seconds';

class Stage extends Transform {
  reads = { [USAGE]: 'float64' };
  writes = { [USAGE]: 'float64' };

  configure(config) {
    this.factor = config.number('factor', 0.5, { least: 0, most: 1 });
  }

  transform(usage) {
    return usage.map((coreSeconds) => coreSeconds * this.factor);
  }
}

export const transform = { Stage };
