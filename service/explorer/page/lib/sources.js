/**
 * The questions about an image, the same for an indexed and for an uploaded one:
 *
 * - `firing(layer, limit)`: `{items, complete}`, neurons that fire on it
 * - `point(layer, x, y)`: the cell there and the neurons that fire at it
 * - `similar(layer, cell)`: indexed patches nearest to a cell
 * - `heat(layer, neuron)`: the URL of a picture of where a neuron fires
 * - `why({layer, for, against, limit})`: the neurons that pushed an output up or down
 * - `change(use, asked)`: a job that fools the network, dreams or paints
 */

import { get, postJson, send, withQuery } from './api.js';
import { encode, queryText } from './encode.js';
import { api } from './names.js';

const HEAT_SIZE = 512;
const NEAREST = 8;

export function indexedSource(image) {
  const own = image.links.self;
  const inLayer = (layer) => `${own}/layers/${encode(layer)}`;
  return {
    async firing(layer, limit) {
      const { items, total } = await get(withQuery(image.links.neurons, { layer, limit }));
      return { items, complete: items.length >= total };
    },
    async point(layer, x, y) {
      return (await get(withQuery(`${own}/point`, { layer, x, y, limit: 6 }))).layers[0];
    },
    async similar(layer, cell) {
      return (await get(withQuery(`${inLayer(layer)}/cells/${cell.y},${cell.x}/similar`, { limit: NEAREST }))).items;
    },
    async heat(layer, neuron, known) {
      return withQuery(known?.links.heatmap ?? `${inLayer(layer)}/neurons/${neuron}/heatmap.png`, { size: HEAT_SIZE });
    },
    why: (asked) => get(withQuery(`${own}/why`, asked)),
    change: (use, asked) => postJson(`${own}/${use}`, asked),
  };
}

/** `onProgress` gets the share of the file that has been sent, while it is being sent for the first time. */
export function uploadedSource(index, url, file, onProgress) {
  const answers = new Map();
  const once = (key, ask) => {
    if (!answers.has(key)) {
      answers.set(key, ask());
      answers.get(key).catch(() => answers.delete(key));
    }
    return answers.get(key);
  };
  const lookup = (parameters, options) => {
    const asked = withQuery(url, parameters);
    return once(asked, () => send(asked, file, options));
  };
  return {
    lookup: (layer, limit) => lookup({ layer, limit }, { onProgress }),
    async firing(layer, limit) {
      const { neurons } = await this.lookup(layer, limit);
      return { items: neurons, complete: neurons.length < limit };
    },
    async point(layer, x, y) {
      const asked = withQuery(`${url}/point`, { layer, x, y, limit: 6 });
      return (await once(asked, () => send(asked, file))).layers[0];
    },
    async similar(layer, cell) {
      return (await lookup({ layer, y: cell.y, x: cell.x, limit: NEAREST })).patches;
    },
    async heat(layer, neuron) {
      const asked = withQuery(`${url}/heatmap.png`, { layer, neuron, size: HEAT_SIZE });
      return once(asked, async () => URL.createObjectURL(await send(asked, file, { kind: 'blob' })));
    },
    why(parameters) {
      const asked = withQuery(`${url}/why`, parameters);
      return once(asked, () => send(asked, file));
    },
    change: (use, { neurons, style_layers: layers, ...asked }) => {
      const several = [...(neurons ?? []).map((one) => ['neuron', one]), ...(layers ?? []).map((one) => ['style_layer', one])];
      const own = withQuery(api.uploadChange(index, use), asked);
      return send(several.length ? `${own}${own.includes('?') ? '&' : '?'}${queryText(several)}` : own, file);
    },
  };
}
