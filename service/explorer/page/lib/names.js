/** The URLs of the views, and of the API's resources. */

import { path, withQuery } from './api.js';
import { queryText } from './encode.js';
import { href } from './route.js';

export const api = {
  indexes: () => path('indexes'),
  index: (index) => path('indexes', index),
  report: (index) => path('indexes', index, 'report'),
  classes: (index) => path('indexes', index, 'classes'),
  confusion: (index) => path('indexes', index, 'confusion'),
  mistakes: (index) => path('indexes', index, 'mistakes'),
  scores: (index) => path('indexes', index, 'scores'),
  layer: (index, layer) => path('indexes', index, 'layers', layer),
  atlas: (index, layer) => path('indexes', index, 'layers', layer, 'atlas'),
  firesFor: (index, layer) => path('indexes', index, 'layers', layer, 'fires-for'),
  neuronAtlas: (index, layer) => path('indexes', index, 'layers', layer, 'neuron-atlas'),
  neurons: (index, layer) => path('indexes', index, 'layers', layer, 'neurons'),
  neuron: (index, layer, neuron) => path('indexes', index, 'layers', layer, 'neurons', String(neuron)),
  likeness: (index, layer) => path('indexes', index, 'layers', layer, 'likeness'),
  pair: (index, layer) => path('indexes', index, 'layers', layer, 'pair'),
  layerClasses: (index, layer) => path('indexes', index, 'layers', layer, 'classes'),
  layerClass: (index, layer, name) => path('indexes', index, 'layers', layer, 'classes', name),
  images: (index) => path('indexes', index, 'images'),
  image: (index, image) => path('indexes', index, 'images', String(image)),
  lookup: (index) => path('indexes', index, 'lookup'),
  search: (index) => path('indexes', index, 'search'),
  directions: (index) => path('indexes', index, 'directions'),
  concept: (index) => path('indexes', index, 'concept'),
  uploadWhy: (index) => path('indexes', index, 'upload-why'),
  uploadChange: (index, use) => path('indexes', index, `upload-${use}`),
  whatIf: (index) => path('indexes', index, 'what-if'),
  why: (index, layer) => path('indexes', index, 'layers', layer, 'why'),
  importance: (index, layer) => path('indexes', index, 'layers', layer, 'importance'),
  make: (index) => path('indexes', index, 'make'),
  optimals: (index, layer) => path('indexes', index, 'layers', layer, 'optimal'),
  optimal: (index, layer, neuron) => path('indexes', index, 'layers', layer, 'neurons', String(neuron), 'optimal'),
  note: (index, about) => withQuery(path('indexes', index, 'note'), about),
  proposals: (index) => path('indexes', index, 'proposals'),
  find: (index) => path('indexes', index, 'find'),
  lists: () => path('lists'),
  list: (list) => path('lists', list),
  jobs: () => path('jobs'),
  job: (job) => path('jobs', job),
  compare: () => path('compare'),
  trend: () => path('trend'),
};

/** The tiles of a neuron that is known by its number only; without a version they are revalidated. */
export const tilesOf = (index, layer, neuron) => `${api.neuron(index, layer, neuron)}/tiles.jpg`;

export const to = {
  home: () => href([]),
  index: (index) => href([index]),
  layer: (index, layer, query) => href([index, 'layers', layer], query),
  atlas: (index, layer, query) => href([index, 'layers', layer, 'atlas'], query),
  neuronAtlas: (index, layer, query) => href([index, 'layers', layer, 'neuron-atlas'], query),
  neuron: (index, layer, neuron, query) => href([index, 'layers', layer, 'neurons', String(neuron)], query),
  images: (index, query) => href([index, 'images'], query),
  image: (index, image, query) => href([index, 'images', String(image)], query),
  lookup: (index) => href([index, 'lookup']),
  classes: (index, query) => href([index, 'classes'], query),
  class: (index, name, query) => href([index, 'classes', name], query),
  mistakes: (index, query) => href([index, 'mistakes'], query),
  report: (index) => href([index, 'report']),
  trend: (names) => `${href(['trend'])}?${queryText(names.map((name) => ['index', name]))}`,
  compare: (query) => href(['compare'], query),
  whatIf: (index, query) => href([index, 'what-if'], query),
  concept: (index, query) => href([index, 'concept'], query),
  why: (index, query) => href([index, 'why'], query),
  importance: (index, query) => href([index, 'importance'], query),
  jobs: (query) => href(['jobs'], query),
  lists: (query) => href(['lists'], query),
};

/** The view of whatever a note is about, or `find` has found. */
export function toSubject(index, { kind, layer, neuron, image, class: name, list }) {
  if (kind === 'image') return to.image(index, image);
  if (kind === 'class') return to.class(index, name);
  if (kind === 'list') return to.lists({ list });
  return neuron === undefined ? to.layer(index, layer) : to.neuron(index, layer, neuron);
}

/** What a note is about, in words. */
export function subjectWords({ kind, layer, neuron, cell, direction, path: file, class: name }) {
  if (kind === 'image') return file;
  if (kind === 'class') return `class ${name}`;
  if (kind === 'direction') return `direction ${direction.slice(0, 8)} of ${layer}`;
  if (kind === 'unit') return `neuron ${neuron} of ${layer} at ${cell.y},${cell.x}`;
  return neuron === undefined ? layer ?? 'list' : `neuron ${neuron} of ${layer}`;
}

/** The deepest layer whose maps still have several cells, or the last layer: its neurons tell most about an image. */
export function tellingLayer(layers) {
  const spatial = layers.filter((layer) => layer.height * layer.width > 1);
  return (spatial.length ? spatial : layers).at(-1).layer;
}
