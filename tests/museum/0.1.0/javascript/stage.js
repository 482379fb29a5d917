/** Doubles `usage`, writes `pod` in capitals, rejects rows with a negative usage. */

import { write } from 'gristmill:stage/log@0.1.0';

const USAGE = { name: 'usage', columnType: 'float64' };
const POD = { name: 'pod', columnType: 'dictionary' };

class Stage {
  static open({ config }) {
    for (const key of Object.keys(JSON.parse(config))) {
      throw { tag: 'config', val: { key, reason: 'is not known' } };
    }
    write('debug', 'opened');
    return new Stage();
  }

  contract() {
    return { reads: [USAGE, POD], writes: [USAGE, POD], drops: [], rowEffect: 'keeps' };
  }

  process({ rows, columns: [usage, pod] }) {
    const doubled = Float64Array.from(usage.values.val, (value) => value * 2);
    const { keys, values } = pod.values.val;
    const capital = (byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte);
    const capitals = { offsets: values.offsets, data: Uint8Array.from(values.data, capital) };
    const rejects = [];
    usage.values.val.forEach((value, row) => {
      if (value < 0) {
        rejects.push({ row, column: 'usage', code: 'negative', message: 'is below zero' });
      }
    });
    const columns = [
      { validity: usage.validity, values: { tag: 'float64', val: doubled } },
      { validity: pod.validity, values: { tag: 'dictionary', val: { keys, values: capitals } } },
    ];
    return { rows, columns, sourceRows: undefined, filtered: 0, rejects };
  }

  finish() {
    return [{ topic: 'museum', words: ['javascript'] }];
  }
}

export const transform = { Stage };
