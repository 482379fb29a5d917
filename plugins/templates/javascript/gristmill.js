/**
 * What every stage needs beside its own logic.
 *
 * `Transform` (rows in, rows out) and `LineParser` (lines of a file in, rows out)
 * are the classes to build on; `Column` is what comes in and goes out. The contract
 * below them is `wit/stage.wit`.
 *
 * `null` stands for null. Text columns hold each distinct value once and a key per
 * row: `Column.map` calls its function once per distinct value, which is where the
 * speed of a stage in JavaScript comes from. Whole numbers and times are `BigInt`s.
 */

import { write } from 'gristmill:stage/log@0.1.0';

const TEXT = ['utf8', 'dictionary', 'json'];
const EMPTY = { boolean: false, int64: 0n, float64: 0, timestamp: 0n };

/** The values of a column: one per row, or, with `keys`, each distinct one once. */
export class Column {
  constructor(kind, values, keys, valid) {
    Object.assign(this, { kind, values, keys, valid });
  }

  /** A column of values, one per row, `null` where there is none. */
  static of(kind, values) {
    let rows = Array.from(values);
    let valid;
    if (rows.some((value) => value === null || value === undefined)) {
      valid = rows.map((value) => value !== null && value !== undefined);
      rows = rows.map((value) => value ?? EMPTY[kind] ?? '');
    }
    if (!TEXT.includes(kind) || kind === 'utf8') {
      return new Column(kind, rows, undefined, valid);
    }
    const index = new Map();
    const keys = rows.map((value) => {
      if (!index.has(value)) index.set(value, index.size);
      return index.get(value);
    });
    return new Column(kind, [...index.keys()], keys, valid);
  }

  get length() {
    return (this.keys ?? this.values).length;
  }

  /** The value of a row, `null` where there is none. */
  at(row) {
    if (this.valid && !this.valid[row]) return null;
    return this.keys ? this.values[this.keys[row]] : this.values[row];
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) yield this.at(row);
  }

  /** The values, row by row, with a default for those that are missing. */
  orElse(fallback) {
    return Array.from(this, (value) => value ?? fallback);
  }

  /** A column of what the function makes of each value. What is null stays null. */
  map(make, to = this.kind) {
    const made = Array.from(this.values, (value) => make(value));
    if (!this.keys || !TEXT.includes(to) || to === 'utf8') {
      const whole = new Column(to, made, this.keys, this.valid);
      return Column.of(to, this.keys || this.valid ? whole : made);
    }
    const distinct = Column.of(to, made);
    const keys = Array.from(this.keys, (key) => distinct.keys[key]);
    let valid = this.valid;
    if (distinct.valid) {
      valid = Array.from(this.keys, (key, row) => (valid?.[row] ?? true) && distinct.valid[key]);
    }
    return new Column(to, distinct.values, keys, valid);
  }

  /** The column of these rows. */
  take(rows) {
    const of = (values) => values && rows.map((row) => values[row]);
    const values = this.keys ? this.values : of(this.values);
    return new Column(this.kind, values, of(this.keys), of(this.valid));
  }
}

/** The stage's `config` in the pipeline file. A key that nobody asks for is refused. */
class Config {
  #values;
  #known = [];

  constructor(text) {
    this.#values = JSON.parse(text);
  }

  /** A number, within bounds. */
  number(key, fallback, { least = -Infinity, most = Infinity } = {}) {
    const value = this.#value(key, fallback);
    if (typeof value !== 'number') throw configFailure(key, 'must be a number');
    if (value < least || value > most) {
      if (most === Infinity) throw configFailure(key, `must be at least ${least}`);
      if (least === -Infinity) throw configFailure(key, `must be at most ${most}`);
      throw configFailure(key, `must be between ${least} and ${most}`);
    }
    return value;
  }

  /** A text, one of `among` if these are given. */
  text(key, fallback, { among } = {}) {
    const value = this.#value(key, fallback);
    if (typeof value !== 'string') throw configFailure(key, 'must be a text');
    if (among && !among.includes(value)) throw configFailure(key, `must be one of ${named(among)}`);
    return value;
  }

  /** True or false. */
  flag(key, fallback) {
    const value = this.#value(key, fallback);
    if (typeof value !== 'boolean') throw configFailure(key, 'must be true or false');
    return value;
  }

  /** A table, as an object. */
  table(key, fallback) {
    const value = this.#value(key, fallback);
    if (typeof value !== 'object' || Array.isArray(value)) throw configFailure(key, 'must be a table');
    return value;
  }

  #value(key, fallback) {
    this.#known.push(key);
    const value = this.#values[key] ?? fallback;
    if (value === undefined) throw configFailure(key, 'is missing');
    return value;
  }

  refuseUnknown() {
    const unknown = Object.keys(this.#values).find((key) => !this.#known.includes(key));
    if (unknown !== undefined) {
      const there = this.#known.length ? named(this.#known) : 'nothing';
      throw configFailure(unknown, `is not known; there is ${there}`);
    }
  }
}

const named = (words) => words.map((word) => `\`${word}\``).join(', ');

/** A key of the configuration is wrong: `throw configFailure('factor', 'is odd')`. */
export const configFailure = (key, reason) => ({ tag: 'config', val: { key, reason } });

/** A column that reaches the stage is of no use to it. */
export const schemaFailure = (column, reason) => ({ tag: 'schema', val: { column, reason } });

/** The file, or this batch as a whole, cannot be used. For one row: `this.reject`. */
export const inputFailure = (reason, { line, column } = {}) => ({
  tag: 'input',
  val: { line, column, reason },
});

export const debug = (message) => write('debug', message);
export const info = (message) => write('info', message);
export const warn = (message) => write('warn', message);

/** Says where an error was thrown, since what the host sees of it is a trap. */
function reported(call) {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error) {
      const frames = (error.stack ?? '').split('\n').map((frame) => frame.trim());
      const frame = frames.find((frame) => frame && !frame.includes('gristmill.js')) ?? '';
      write('error', `${error.name}: ${error.message} ${frame}`);
    }
    throw error;
  }
}

/** What transforms and parsers have in common. */
class Stage {
  /** Takes what the stage needs out of its `Config`. */
  configure(config) {}

  /** What the stage learned of a file: topic → words. */
  facts() {
    return {};
  }

  static open(options) {
    return reported(() => {
      const stage = new this();
      stage.sets = Object.fromEntries(options.sets.map(({ name, words }) => [name, words]));
      stage.rejects = [];
      stage.begin(options);
      const config = new Config(options.config);
      stage.configure(config);
      config.refuseUnknown();
      stage.configured();
      return stage;
    });
  }

  configured() {}

  finish() {
    return reported(() =>
      Object.entries(this.facts()).map(([topic, words]) => ({ topic, words: [...words].sort() })),
    );
  }
}

/**
 * A stage that changes rows.
 *
 * `reads` and `writes` are column names with their types: `boolean`, `int64`,
 * `float64`, `timestamp` (microseconds since 1970), `utf8`, `dictionary`, `json`.
 * They may be set in `configure`, where `this.schema` holds what reaches the
 * stage. `leavesOut` is for stages that drop rows.
 */
export class Transform extends Stage {
  reads = {};
  writes = {};
  drops = [];
  leavesOut = false;

  /**
   * Takes the columns read and returns those written: a `Column` or values, one
   * per row; an array of them when several columns are written.
   */
  transform(...columns) {
    throw new Error('the stage has no `transform`');
  }

  /** The row goes to quarantine. `code` is a kebab-case word. */
  reject(row, code, message, column) {
    this.rejects.push({ row, column, code, message });
  }

  /** The row ends here. */
  leaveOut(row) {
    this.leftOut.add(row);
  }

  begin({ schema }) {
    this.schema = Object.fromEntries(schema.map(({ name, columnType }) => [name, columnType]));
  }

  configured() {
    for (const [name, kind] of Object.entries(this.reads)) {
      const found = this.schema[name];
      if (found === undefined) throw schemaFailure(name, 'is missing');
      const readable = TEXT.includes(found) && TEXT.includes(kind) && kind !== 'json';
      if (found !== kind && !readable) {
        throw schemaFailure(name, `has type ${found}, but ${kind} is needed`);
      }
    }
  }

  contract() {
    return {
      reads: fields(this.reads),
      writes: fields(this.writes),
      drops: [...this.drops],
      rowEffect: this.leavesOut ? 'rearranges' : 'keeps',
    };
  }

  process(batch) {
    return reported(() => {
      this.rejects = [];
      this.leftOut = new Set();
      const kinds = Object.values(this.reads);
      const read = batch.columns.map((column, index) => decoded(kinds[index], column, batch.rows));
      let written = this.transform(...read);
      const kindsWritten = Object.values(this.writes);
      if (kindsWritten.length === 1 && !(written[0] instanceof Column)) written = [written];
      let columns = kindsWritten.map((kind, index) => {
        const made = written[index];
        return made instanceof Column ? made : Column.of(kind, made);
      });
      let { rows } = batch;
      let sourceRows;
      if (this.leavesOut) {
        const gone = new Set([...this.leftOut, ...this.rejects.map(({ row }) => row)]);
        sourceRows = [];
        for (let row = 0; row < rows; row += 1) if (!gone.has(row)) sourceRows.push(row);
        columns = columns.map((column) => column.take(sourceRows));
        rows = sourceRows.length;
      }
      return {
        rows,
        columns: columns.map(encoded),
        sourceRows: sourceRows && Uint32Array.from(sourceRows),
        filtered: this.leftOut.size,
        rejects: this.rejects,
      };
    });
  }
}

/** A stage that reads files in which a line is a record. */
export class LineParser extends Stage {
  /** An object of the line's values by column, or nothing to leave the line out. */
  record(line) {
    throw new Error('the stage has no `record`');
  }

  /** The line that `record` has goes to quarantine. `code` is a kebab-case word. */
  reject(code, message, column) {
    // The first reason counts.
    if (this.rejects.at(-1)?.start === this.place.start) return;
    this.rejects.push({ ...this.place, column, code, message });
  }

  begin({ columns }) {
    this.columns = columns;
    this.wanted = new Set(columns.map(({ name }) => name));
    this.ignored = new Set();
    this.carry = new Uint8Array();
    this.number = 0;
    this.start = 0;
    this.leftOut = 0;
  }

  parse(chunk, last) {
    return reported(() => {
      this.rejects = [];
      const cells = this.columns.map(() => []);
      const places = [];
      for (const bytes of this.lines(chunk, last)) {
        const record = this.recordOf(bytes);
        const row = record && this.rowOf(record);
        if (!row) continue;
        row.forEach((cell, index) => cells[index].push(cell));
        places.push(this.place);
        for (const name of Object.keys(record)) if (!this.wanted.has(name)) this.ignored.add(name);
      }
      return {
        rows: places.length,
        columns: this.columns.map(({ columnType }, index) =>
          encoded(Column.of(columnType, cells[index])),
        ),
        lines: BigUint64Array.from(places, ({ line }) => BigInt(line)),
        starts: BigUint64Array.from(places, ({ start }) => BigInt(start)),
        lengths: Uint32Array.from(places, ({ length }) => length),
        rejects: this.rejects,
      };
    });
  }

  facts() {
    return { 'ignored-columns': this.ignored };
  }

  finish() {
    const facts = super.finish();
    const words = [String(this.leftOut)];
    return this.leftOut ? [...facts, { topic: 'left-out-bytes', words }] : facts;
  }

  /** Counts the bytes as the host does: without white space. */
  leaveOut(bytes) {
    for (const byte of bytes) if (byte !== 32 && (byte < 9 || byte > 13)) this.leftOut += 1;
  }

  /** The lines that the chunk completes; `place` says where each is. */
  *lines(chunk, last) {
    let bytes = new Uint8Array(this.carry.length + chunk.length);
    bytes.set(this.carry);
    bytes.set(chunk, this.carry.length);
    for (;;) {
      const end = bytes.indexOf(10);
      if (end < 0 && !last) break;
      const line = end < 0 ? bytes : bytes.subarray(0, end);
      this.number += 1;
      this.place = { line: this.number, start: this.start, length: line.length };
      this.start += line.length + 1;
      yield line;
      if (end < 0) {
        bytes = new Uint8Array();
        break;
      }
      bytes = bytes.subarray(end + 1);
    }
    this.carry = bytes.slice();
  }

  recordOf(bytes) {
    let text;
    try {
      text = textOf(bytes);
    } catch (error) {
      return this.reject('not-utf8', 'expected text in UTF-8');
    }
    if (text.trim() === '') return this.leaveOut(bytes);
    const before = this.rejects.length;
    const record = this.record(text.endsWith('\r') ? text.slice(0, -1) : text);
    if (this.rejects.length > before) return undefined;
    if (record === undefined || record === null) return this.leaveOut(bytes);
    if (typeof record !== 'object' || Array.isArray(record)) {
      return this.reject('not-a-record', 'expected values by column');
    }
    return record;
  }

  rowOf(record) {
    const row = [];
    for (const column of this.columns) {
      const cell = cellOf(column, record[column.name]);
      if (cell?.code) return this.reject(cell.code, cell.message, column.name);
      row.push(cell);
    }
    return row;
  }
}

/** A value as its column's type wants it, or what is wrong with it. */
function cellOf({ columnType, required, emptyIsNull }, value) {
  if (value === undefined) {
    return required ? { code: 'missing', message: 'is missing in this record' } : null;
  }
  if (value === null || value === '') {
    if (emptyIsNull) return null;
    if (columnType === 'timestamp' || columnType === 'boolean') {
      return { code: 'empty', message: `expected a ${columnType}, found nothing` };
    }
    return EMPTY[columnType] ?? '';
  }
  const misfit = (code, what) => ({
    code,
    message: `expected ${what}, found \`${String(value).slice(0, 40)}\``,
  });
  switch (columnType) {
    case 'float64': {
      const number = typeof value === 'boolean' ? NaN : Number(value);
      return Number.isFinite(number) ? number : misfit('not-a-number', 'a number');
    }
    case 'int64':
      return /^[+-]?[0-9]+$/.test(String(value))
        ? BigInt(value)
        : misfit('not-a-whole-number', 'a whole number');
    case 'timestamp': {
      const time = /T.*(Z|[+-]\d\d:\d\d)$/.test(value) ? Date.parse(value) : NaN;
      return Number.isNaN(time) ? misfit('not-a-timestamp', 'a time') : BigInt(time) * 1000n;
    }
    case 'boolean':
      if (value === true || value === 'true') return true;
      return value === false || value === 'false' ? false : misfit('not-a-boolean', 'true or false');
    default:
      return typeof value === 'string' ? value : JSON.stringify(value);
  }
}

const fields = (columns) =>
  Object.entries(columns).map(([name, columnType]) => ({ name, columnType }));

/** A column as the contract has it → a `Column`. */
function decoded(kind, { validity, values }, rows) {
  const valid = validity && flags(validity, rows);
  if (kind === 'boolean') return new Column(kind, flags(values.val, rows), undefined, valid);
  if (kind === 'utf8') return new Column(kind, texts(values.val), undefined, valid);
  if (TEXT.includes(kind)) {
    return new Column(kind, texts(values.val.values), values.val.keys, valid);
  }
  return new Column(kind, values.val, undefined, valid);
}

/** A `Column` → a column as the contract has it. */
function encoded({ kind, values, keys, valid }) {
  const validity = valid && bitmap(valid);
  switch (kind) {
    case 'boolean':
      return { validity, values: { tag: kind, val: bitmap(values) } };
    case 'float64':
      return { validity, values: { tag: kind, val: Float64Array.from(values) } };
    case 'int64':
    case 'timestamp':
      return { validity, values: { tag: kind, val: BigInt64Array.from(values) } };
    case 'utf8':
      return { validity, values: { tag: kind, val: utf8(values) } };
    default: {
      const val = { keys: Uint32Array.from(keys), values: utf8(values) };
      return { validity, values: { tag: 'dictionary', val } };
    }
  }
}

function flags(bits, rows) {
  return Array.from({ length: rows }, (_, row) => ((bits[row >> 3] >> (row & 7)) & 1) === 1);
}

function bitmap(flagged) {
  const bits = new Uint8Array(Math.ceil(flagged.length / 8));
  flagged.forEach((flag, row) => {
    if (flag) bits[row >> 3] |= 1 << (row & 7);
  });
  return bits;
}

function texts({ offsets, data }) {
  return Array.from({ length: offsets.length - 1 }, (_, index) =>
    textOf(data.subarray(offsets[index], offsets[index + 1])),
  );
}

function utf8(values) {
  const encodedTexts = values.map(bytesOf);
  const offsets = new Uint32Array(values.length + 1);
  encodedTexts.forEach((bytes, index) => {
    offsets[index + 1] = offsets[index] + bytes.length;
  });
  const data = new Uint8Array(offsets[values.length]);
  encodedTexts.forEach((bytes, index) => data.set(bytes, offsets[index]));
  return { offsets, data };
}

/** UTF-8 → text. Throws where it is none. The engine has no `TextDecoder`. */
function textOf(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  }
  // Escaped byte by byte, it decodes as UTF-8; most text is ASCII and needs none of it.
  return /[\x80-\xff]/.test(text) ? decodeURIComponent(escape(text)) : text;
}

/** Text → UTF-8. */
function bytesOf(text) {
  const bytes = /[^\x00-\x7f]/.test(text) ? unescape(encodeURIComponent(text)) : text;
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}
