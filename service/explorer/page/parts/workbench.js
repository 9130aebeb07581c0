/** An image and everything that fires on it; the same for an indexed and for an uploaded one (lib/sources.js). */

import { number, percent } from '../lib/format.js';
import { useAnswer, useSettled } from '../lib/hooks.js';
import { tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice } from './controls.js';
import { FiringList } from './firing.js';
import { html, useState } from './html.js';
import { Tiles } from './neuron-card.js';
import { ApiLink } from './picture.js';
import { SimilarCard } from './patch-card.js';
import { Stage } from './stage.js';
import { Empty, Failure, Loading } from './states.js';

const PAGE = 6;
const HOVER_MS = 90;

/**
 * `image` is {width, height, src, alt, call}; `said` is the network's answer on it or null; `aside` is shown below the
 * picture, `children` below the neurons.
 */
export function Workbench({ index, layers, layer, image, source, query, said = null, aside = null, children = null }) {
  const [looked, setLooked] = useState(null);
  const point = pointOf(query);
  const spot = useAnswer(point && (() => source.point(layer, point.x, point.y)), [source, layer, point?.x, point?.y]);
  const cell = point ? spot.data?.cell : cellOf(query);
  const pinned = query.has('neuron') ? Number(query.get('neuron')) : null;
  const shown = useSettled(looked ?? (pinned === null ? null : { layer, neuron: pinned }), HOVER_MS);
  const heat = useAnswer(shown && (() => source.heat(shown.layer, shown.neuron, shown.links && shown)),
    [source, shown?.layer, shown?.neuron]);
  const box = looked?.box ?? (point ? spot.data?.box : boxOf(query));
  const pin = (item) => change({ neuron: item ? item.neuron : null }, { replace: true });
  return html`<div class="split workbench">
    <section class="split-main workbench-image" aria-label="The image">
      <div class="stage-frame"><${Stage} image=${image} heat=${heat.data} boxes=${box ? [box] : []} point=${point}
        onPoint=${({ x, y }) => change({ x, y, cell: null, box: null })} />
        ${image.call && html`<${ApiLink} url=${shown && heat.data?.startsWith('/') ? heat.data : image.call} what=${image.alt} />`}</div>
      <p class="quiet stage-note" role="status">${note(shown, heat, point)}</p>
      ${aside}
    </section>
    <section class="split-side workbench-neurons" aria-label="Neurons">
      <div class="controls">
        <${Choice} label="Layer" value=${layer} options=${layers.map((one) => [one.layer, one.layer])}
          onChange=${(value) => change({ layer: value, neuron: null, cell: null, box: null })} /></div>
      ${point && html`<${AtPoint} index=${index} spot=${spot} layer=${layer} pinned=${pinned} onLook=${setLooked} onPin=${pin} />`}
      ${cell && html`<${Nearest} index=${index} layer=${layer} cell=${cell} source=${source} />`}
      ${said?.layer === layer ? html`<${Outputs} index=${index} said=${said} />`
        : html`<${Firing} index=${index} layer=${layer} source=${source} pinned=${pinned} onLook=${setLooked} onPin=${pin} />`}
      ${children}
    </section>
  </div>`;
}

function note(shown, heat, point) {
  if (!shown) return point ? '' : 'Click a point of the image to see what fires there.';
  if (heat.error) return `The heat of neuron ${shown.neuron} cannot be shown: ${heat.error.detail}`;
  return heat.data ? `Where neuron ${shown.neuron} of ${shown.layer} is active.` : `Finding where neuron ${shown.neuron} is active …`;
}

function pointOf(query) {
  const [x, y] = [Number(query.get('x')), Number(query.get('y'))];
  return query.has('x') && query.has('y') && Number.isFinite(x) && Number.isFinite(y) ? { x, y } : null;
}

function cellOf(query) {
  const [y, x] = (query.get('cell') ?? '').split(',').map(Number);
  return Number.isInteger(y) && Number.isInteger(x) ? { y, x } : null;
}

function boxOf(query) {
  const [left, top, right, bottom] = (query.get('box') ?? '').split(',').map(Number);
  return Number.isInteger(bottom) ? { left, top, right, bottom } : null;
}

function AtPoint({ index, spot, layer, pinned, onLook, onPin }) {
  const away = html`<button class="button small" onClick=${() => change({ x: null, y: null })}>Clear point</button>`;
  if (spot.error) return html`<section><h2>At this point ${away}</h2><${Failure} error=${spot.error} retry=${spot.retry} /></section>`;
  if (!spot.data) return html`<section><h2>At this point</h2><${Loading} what="Looking at the point" /></section>`;
  const { cell, neurons, total } = spot.data;
  return html`<section><h2>At this point ${away}</h2>
    <p class="quiet">Cell ${cell.y},${cell.x} of ${layer}; ${total === 0 ? 'no neuron fires' : `${total} fire`} there.</p>
    <${FiringList} index=${index} items=${neurons} pinned=${pinned} onLook=${onLook} onPin=${onPin} /></section>`;
}

function Nearest({ index, layer, cell, source }) {
  const near = useAnswer(() => source.similar(layer, cell), [source, layer, cell.y, cell.x]);
  return html`<section><h2>Nearest patches to cell ${cell.y},${cell.x}</h2>
    ${near.error ? html`<${Failure} error=${near.error} retry=${near.retry} />` : ''}
    ${near.loading ? html`<${Loading} what="Comparing" />` : ''}
    ${near.data && (near.data.length
      ? html`<ul class="patches patches-small">${near.data.map((patch) => html`<${SimilarCard}
          key=${`${patch.image} ${patch.cell.y},${patch.cell.x}`} index=${index} patch=${patch} />`)}</ul>`
      : html`<p class="quiet">No neuron is active there, so no patch is similar.</p>`)}</section>`;
}

/** In the output layer the highest count, whether they are high for their neurons or not. */
const Outputs = ({ index, said }) => html`<section><h2>Its highest outputs</h2><ul class="firing">${said.answers.map((one) => html`<li key=${one.output}>
  <div class="firing-line"><a href=${to.neuron(index, said.layer, one.output)}>Neuron <b>${one.output}</b> ${one.name}</a>
    <span class="quiet">output ${number(one.value)}</span><span class="quiet">${percent(one.probability)}</span></div>
  <${Tiles} src=${tilesOf(index, said.layer, one.output)} layer=${said.layer} neuron=${one.output} columns=${6} rows=${1}
    link=${to.neuron(index, said.layer, one.output)} /></li>`)}</ul></section>`;

function Firing({ index, layer, source, pinned, onLook, onPin }) {
  const [limit, setLimit] = useState(PAGE);
  const firing = useAnswer(() => source.firing(layer, limit), [source, layer, limit]);
  const [kept, setKept] = useState(null);
  if (firing.data && kept?.data !== firing.data) setKept({ layer, source, data: firing.data });
  const data = firing.data ?? (kept?.layer === layer && kept?.source === source ? kept.data : null);
  return html`<section><h2>Fires on this image</h2>
    ${firing.error && html`<${Failure} error=${firing.error} retry=${firing.retry} />`}
    ${!data && !firing.error && html`<${Loading} what="Looking for neurons" />`}
    ${data && !data.items.length && html`<${Empty} title="No neuron fires"><p>No neuron of ${layer} reaches its own top 0.5 %
      anywhere on this image.</p></${Empty}>`}
    ${data && html`<${FiringList} index=${index} items=${data.items} pinned=${pinned} onLook=${onLook} onPin=${onPin} />`}
    ${data && !data.complete && html`<div class="more"><button class="button" aria-busy=${firing.loading}
      onClick=${() => setLimit(limit + 2 * PAGE)}>Show more</button></div>`}</section>`;
}
