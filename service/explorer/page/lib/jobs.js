/** Jobs: followed until they end, and put into words. */

import { useCallback, useEffect, useState } from '../vendor/preact-htm.js';
import { getFresh, postJson } from './api.js';
import { many } from './format.js';

const EVERY_MS = 700;

export const ended = (job) => job !== null && !['queued', 'running'].includes(job.state);

/** What is at a URL, asked for again and again until `isLast(data)`: `{data, error, again}`. */
export function useFresh(url, isLast) {
  const [state, setState] = useState({ url: null, data: null, error: null });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (url === null) return undefined;
    let live = true;
    let timer = null;
    const look = () => getFresh(url).then(
      (data) => {
        if (!live) return;
        setState({ url, data, error: null });
        if (!isLast(data)) timer = setTimeout(look, EVERY_MS);
      },
      (error) => live && setState({ url, data: null, error }),
    );
    look();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [url, attempt]);
  const again = useCallback(() => setAttempt((number) => number + 1), []);
  const { data, error } = state.url === url ? state : { data: null, error: null };
  return { data, error, again };
}

/** Waits for jobs that are asked for: `{begin, problem, busy}`; `begin(asked, begun)` calls `begun` with the job of a promise. */
export function useBegin() {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const begin = (asked, begun) => {
    setBusy(true);
    setProblem(null);
    asked.then(begun, setProblem).finally(() => setBusy(false));
  };
  return { begin, problem, busy };
}

/** Starts jobs: `{start, problem, busy}`; `start(url, body, begun)` calls `begun` with the job. */
export function useStart() {
  const { begin, problem, busy } = useBegin();
  return { start: (url, body, begun) => begin(postJson(url, body), begun), problem, busy };
}

export const HOW = { silence: 'silenced', scale: 'scaled by', clamp: 'clamped at', mean: 'set to its mean' };

/** "neuron 412 silenced, neuron 17 scaled by 0.5". */
export function editWords(edits, most = 3) {
  if (!edits.length) return 'nothing changed';
  const words = edits.slice(0, most).map(({ neuron, how, value }) => `neuron ${neuron} ${HOW[how]}${value === null ? '' : ` ${value}`}`);
  return `${words.join(', ')}${edits.length > most ? ` and ${many(edits.length - most, 'more neuron')}` : ''}`;
}

/** What a job does, in a line. */
export function jobWords({ kind, parameters }) {
  if (kind === 'what-if') return `${parameters.layer}: ${editWords(parameters.edits)}${parameters.class ? `, images of ${parameters.class}` : ''}`;
  if (kind === 'importance') return `${parameters.layer}, ${many(parameters.images, 'image')}`;
  if (kind === 'why') return `${parameters.layer}: ${groupWords(parameters)}`;
  if (kind === 'make') return `${parameters.layer}: ${parameters.use} of ${parameters.neurons.length > 1 ? many(parameters.neurons.length, 'neuron') : `neuron ${parameters.neurons[0]}`}`;
  if (kind === 'fool' || kind === 'upload-fool') return `${imageWords(parameters.image)}${parameters.target === null ? '' : ` as ${parameters.target}`}, ${parameters.norm}`;
  if (kind === 'dream' || kind === 'upload-dream') return `${imageWords(parameters.image)}, ${parameters.layer}${parameters.neurons ? `: ${parameters.neurons.join(', ')}` : ''}`;
  if (kind === 'art' || kind === 'upload-art') return `${imageWords(parameters.image)} in the style of ${imageWords(parameters.style)}`;
  return '';
}

/** An indexed image by its number; the reader's own has none. */
const imageWords = (image) => (image ?? null) === null ? 'your image' : `image ${image}`;

function groupWords({ class: name, answered, images }) {
  if (images) return many(images.length, 'image');
  return [name && `images of ${name}`, answered && `answered as ${answered}`].filter(Boolean).join(' ');
}

/** Edits as a part of a URL: "412:silence,17:scale:0.5". */
export const editsText = (edits) => edits.map(({ neuron, how, value }) => [neuron, how, value].filter((part) => part !== null && part !== undefined)
  .join(':')).join(',');

export function parseEdits(text) {
  return (text ?? '').split(',').filter(Boolean).map((part) => {
    const [neuron, how = 'silence', value = null] = part.split(':');
    return { neuron: Number(neuron), how: how in HOW ? how : 'silence', value: value === null ? null : Number(value) };
  }).filter(({ neuron }) => Number.isInteger(neuron) && neuron >= 0);
}
