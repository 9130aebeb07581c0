/** Numbers and words. */

const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en');

/** Three significant digits; from a thousand on, whole numbers. */
export function number(value) {
  if (value === null || value === undefined) return '–';
  return Math.abs(value) >= 1000 ? whole.format(Math.round(value)) : plain.format(value);
}

export const count = (value) => whole.format(value);

/** "1 neuron", "2 neurons". */
export const many = (value, one, more = `${one}s`) => `${whole.format(value)} ${value === 1 ? one : more}`;

/** A share 0..1 in percent. */
export function percent(share) {
  if (share === null || share === undefined) return '–';
  const value = share * 100;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A percentile 0..100: the closer to 100, the more digits. */
export function percentile(value) {
  if (value >= 99.995) return '> 99.99';
  return value.toFixed(value >= 99 ? 2 : 1);
}

/** The size of a file. */
export function bytes(size) {
  if (size < 1000) return many(size, 'byte');
  return size < 1e6 ? `${plain.format(size / 1000)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** The folder of a path, '' where it has none. */
export const folderOf = (path) => path.slice(0, Math.max(path.lastIndexOf('/'), 0));

/** The last part of a path. */
export const fileName = (path) => path.slice(path.lastIndexOf('/') + 1);

export const STATES = ['selective', 'mixed', 'dense', 'dead', 'unknown'];

export const STATE_WORDS = {
  selective: 'tells one class from all others',
  mixed: 'between selective and dense',
  dense: 'fires about equally for nearly every class',
  dead: 'positive on no image',
  unknown: 'not dead; there are no two classes to tell apart',
};

/** A receptive field in words. */
export function fieldWords(field) {
  if (field.kind === 'unsupported' || !field.y) return 'not known';
  const size = field.y.size === null ? 'uneven' : `${field.y.size} × ${field.x.size} px`;
  if (field.kind === 'measured') return field.y.size === null ? 'measured' : `${size}, measured`;
  return field.kind === 'exact' ? size : `whole input (${size} along the spatial path)`;
}
