/** A layer as a wall of the images made for its neurons, and a way to make those that are not there. */

import { many, number } from '../lib/format.js';
import { useStart } from '../lib/jobs.js';
import { useMade } from '../lib/made.js';
import { api, to } from '../lib/names.js';
import { html, useCallback, useEffect, useState } from './html.js';
import { Followed } from './job.js';
import { CardWaiting, State } from './neuron-card.js';
import { Picture } from './picture.js';
import { Failure } from './states.js';
import { Wall, WallFailure } from './wall.js';

const AT_ONCE = 16; // as many as a job makes

/** `total`, `at` and `want` are those of the list of neurons. */
export function MadeWall({ index, layer, total, at, want, label }) {
  const made = useMade(index, layer);
  const [range, setRange] = useState([0, 0]);
  const near = [];
  for (let i = range[0]; i < Math.min(range[1], total); i += 1) if (at(i)) near.push(at(i).neuron);
  const wantBoth = useCallback((first, end) => {
    want(first, end);
    setRange((old) => (old[0] === first && old[1] === end ? old : [first, end]));
  }, [want]);
  useEffect(() => made.want(near), [near.join(',')]);
  const card = (i) => (at(i) ? html`<${Card} index=${index} neuron=${at(i)} made=${made.of(at(i).neuron)} />` : html`<${CardWaiting} />`);
  return html`<${Make} index=${index} layer=${layer} missing=${near.filter((one) => made.of(one) && !made.of(one).recipe)} onMade=${made.again} />
    <${Wall} count=${total} label=${label} least=${150} height=${(width) => width + 52} render=${card} want=${wantBoth} />
    ${made.error && html`<${WallFailure} error=${made.error} retry=${made.again} />`}`;
}

function Card({ index, neuron, made }) {
  const link = to.neuron(index, neuron.layer, neuron.neuron);
  const ratio = made?.trust?.transformed_ratio ?? null;
  return html`<article class="card">
    ${!made ? html`<div class="picture" data-is="loading" style=${{ aspectRatio: '1' }}></div>`
      : made.recipe ? html`<${Picture} to=${link} src=${made.links.picture} alt=${`Image made for neuron ${neuron.neuron} of ${neuron.layer}`} />`
        : html`<a class="card-dead" href=${link}><span>not made</span>${made.detail && html`<small>${made.detail}</small>`}</a>`}
    <p class="card-line"><b>${neuron.neuron}</b><${State} state=${neuron.state} />
      <span class="card-value" title="Its peak on fresh views over that on the highest image">${ratio === null ? '' : `${number(ratio)} ×`}</span></p>
    <p class="card-class">${neuron.category ?? neuron.best_class ?? ' '}</p>
  </article>`;
}

/** Makes the first of those that are near and missing. */
function Make({ index, layer, missing, onMade }) {
  const [id, setId] = useState(null);
  const [unmoved, setUnmoved] = useState([]);
  const { start, problem, busy } = useStart();
  const neurons = missing.filter((one) => !unmoved.includes(one)).slice(0, AT_ONCE).sort((a, b) => a - b);
  const make = () => start(api.make(index), { use: 'optimal', layer, neurons }, (begun) => setId(begun.job));
  const done = (result) => html`<${Done} key=${id} result=${result} onDone=${() => {
    setUnmoved((old) => [...old, ...result.unmoved]);
    setId(null);
    onMade();
  }} />`;
  if (problem) return html`<${Failure} error=${problem} />`;
  if (id) return html`<${Followed} url=${api.job(id)} show=${done} />`;
  return html`<p class="quiet made-note">What each neuron would like to see, made by the network, not photographed; the number is its activation over
    that on the highest image. ${unmoved.length > 0 && `Nothing moves ${many(unmoved.length, 'neuron')}: ${unmoved.join(', ')}. `}
    ${neurons.length > 0 && html`<button class="button small" onClick=${make} disabled=${busy}>Make ${neurons.length} here that are missing</button>`}</p>`;
}

/** Tells once that a job is done. */
function Done({ onDone }) {
  useEffect(onDone, []);
  return null;
}
