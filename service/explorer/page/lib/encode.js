/**
 * Texts in URLs, also names of folders and files whose bytes are not UTF-8. The API gives such a byte as a lone surrogate,
 * U+DC80 to U+DCFF for 80 to FF, as Python reads it from a disk, and takes it as %80 to %FF. encodeURIComponent raises at one,
 * and URLSearchParams makes U+FFFD of it.
 */

const BYTES = 0xdc00; // what is added to a byte
const LOST = '%EF%BF%BD'; // U+FFFD, for half a character that stands for no byte

function encodeOne(character) {
  const code = character.codePointAt(0);
  if (code >= BYTES + 0x80 && code <= BYTES + 0xff) return `%${(code - BYTES).toString(16).toUpperCase()}`;
  return code >= 0xd800 && code <= 0xdfff ? LOST : encodeURIComponent(character);
}

/** A text as a segment of a path, or as a part of a query. */
export const encode = (text) => Array.from(String(text), encodeOne).join(''); // by characters: a pair of surrogates is one

function asCharacter(text) {
  try {
    const decoded = decodeURIComponent(text);
    return [...decoded].length === 1 ? decoded : null;
  } catch {
    return null;
  }
}

/** Bytes as %XX, several or one; what is not UTF-8 becomes lone surrogates. */
function decodeBytes(run) {
  let text = '';
  for (let at = 0; at < run.length;) {
    const length = [1, 2, 3, 4].find((bytes) => asCharacter(run.slice(at, at + 3 * bytes)) !== null);
    text += length ? asCharacter(run.slice(at, at + 3 * length)) : String.fromCharCode(BYTES + parseInt(run.slice(at + 1, at + 3), 16));
    at += 3 * (length ?? 1);
  }
  return text;
}

/** What `encode` was given; a % that encodes nothing stays as it is. */
export const decode = (text) => text.replace(/(?:%[0-9a-f]{2})+/gi, decodeBytes);

/** The query of a URL, from [name, value] pairs; values that are null, undefined or '' are left out. */
export const queryText = (pairs) => [...pairs].filter(([, value]) => value !== null && value !== undefined && value !== '')
  .map((pair) => pair.map(encode).join('=')).join('&');

/** The query of a URL, read: like URLSearchParams. */
export class Query {
  #values = new Map();

  constructor(text) {
    for (const part of text.split('&').filter(Boolean)) {
      const [name, ...value] = part.replaceAll('+', ' ').split('=');
      this.#values.set(decode(name), [...this.getAll(decode(name)), decode(value.join('='))]);
    }
  }

  has(name) { return this.#values.has(name); }

  get(name) { return this.getAll(name)[0] ?? null; }

  getAll(name) { return this.#values.get(name) ?? []; }

  /** In the place of what had this name, else as the last. */
  set(name, value) { this.#values.set(name, [value]); }

  * [Symbol.iterator]() {
    for (const [name, values] of this.#values) yield* values.map((value) => [name, value]);
  }
}
