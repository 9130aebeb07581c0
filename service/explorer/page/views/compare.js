/** Two indexes of the same images side by side: which neurons woke up or died, and which neurons match. */

import { count, many, number, percent } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tellingLayer, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { StateBar } from '../parts/charts.js';
import { Choice, Switch } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { Category, DeadTiles, State, Tiles } from '../parts/neuron-card.js';
import { Empty, Failure, Loading, More } from '../parts/states.js';

const PAGE = 24;

export function CompareView({ query }) {
  const indexes = useJson(api.indexes());
  if (indexes.error) return html`<${Failure} error=${indexes.error} retry=${indexes.retry} />`;
  if (!indexes.data) return html`<${Loading} what="Looking for indexes" />`;
  const names = indexes.data.items.filter((item) => item.ready).map((item) => item.name);
  const a = query.get('a') ?? names[0];
  const b = query.get('b') ?? names.find((name) => name !== a) ?? null;
  const title = html`<header class="title"><h1>Compare</h1><p>The same images through two networks, or one network before and
    after more training.${' '}<a href=${to.trend(names)}>The trend over several</a></p></header>`;
  if (names.length < 2) {
    return html`${title}<${Empty} title="There is only one index"><p>Build another of the same images with other weights, and serve
      the folder that holds both.</p></${Empty}>`;
  }
  return html`${title}<${Two} names=${names} a=${a} b=${b} query=${query} />`;
}

function Two({ names, a, b, query }) {
  const about = useJson(api.index(a));
  const other = useJson(api.index(b));
  const error = about.error ?? other.error;
  const layers = about.data?.layers ?? [];
  const layer = query.get('layer') ?? (layers.length ? tellingLayer(layers) : null);
  const same = other.data?.layers.some((one) => one.layer === layer);
  const layerB = query.get('layer_b') ?? (same || !other.data ? null : tellingLayer(other.data.layers));
  const options = (list) => list.map((name) => [name, name]);
  return html`<div class="controls">
      <${Choice} label="Index" value=${a} options=${options(names)} onChange=${(value) => change({ a: value, layer: null, depth: null })} />
      <${Choice} label="with" value=${b} options=${options(names)} onChange=${(value) => change({ b: value, layer_b: null, depth: null })} />
      <${Choice} label="Layer" value=${layer} options=${options(layers.map((one) => one.layer))}
        onChange=${(value) => change({ layer: value, layer_b: null, depth: null })} />
      ${layerB && html`<${Choice} label="with layer" value=${layerB} options=${options(other.data.layers.map((one) => one.layer))}
        onChange=${(value) => change({ layer_b: value, depth: null })} />`}
    </div>
    ${error ? html`<${Failure} error=${error} />` : ''}
    ${!error && layer && other.data && html`<${Comparison} a=${a} b=${b} layer=${layer} layerB=${layerB} query=${query} />`}`;
}

function Comparison({ a, b, layer, layerB, query }) {
  const depth = Math.max(PAGE, Number(query.get('depth')) || PAGE);
  const url = withQuery(api.compare(), { a, b, layer, layer_b: layerB });
  const summary = useJson(withQuery(url, { limit: PAGE, offset: 0 }));
  const repeats = query.get('repeats') === 'true';
  const list = useList(withQuery(url, { sort: 'correlation', repeats }), PAGE, depth);
  if (summary.error) return html`<${Failure} error=${summary.error} retry=${summary.retry} />`;
  if (!summary.data) return html`<${Loading} what="Comparing" />`;
  const data = summary.data;
  return html`<section class="two">${[['a', data.a], ['b', data.b]].map(([key, side]) => html`<div key=${key} class="plain-card">
      <h2><a href=${to.layer(side.index, side.layer)}>${side.index} · ${side.layer}</a></h2><${StateBar} layer=${side} />
      <p>${many(side.neurons, 'neuron')}: ${percent(side.selective / side.neurons)} selective, ${percent(side.dense / side.neurons)} dense, ${' '}
        ${percent(side.dead / side.neurons)} dead</p><p class="quiet">mean best AUC ${number(side.mean_best_auc)}</p></div>`)}</section>
    <p>${many(data.images, 'image')} in common. ${data.median_correlation === null ? '' : `The best matches correlate with
      ${number(data.median_correlation)} in the median.`}</p>
    ${data.same_neurons && html`<p>${moved('woke up', data.woke_up, b, layer)} ${moved('died', data.died, b, layer)}</p>`}
    <h2>Neurons and their best match</h2>
    <div class="controls"><${Switch} label="Neurons whose match is another's too" on=${repeats}
      onChange=${(on) => change({ repeats: on ? 'true' : null, depth: null })} /></div>
    <p class="quiet">By the correlation r of their peaks over the images in common, the highest first.</p>
    <ul class="matches">${list.items.map((row) => html`<${Match} key=${row.neuron} data=${data} row=${row} />`)}</ul>
    <${More} list=${list} shown=${list.items.length} what="neurons" onMore=${() => change({ depth: depth + PAGE }, { replace: true })} />`;
}

function moved(words, neurons, index, layer) {
  if (!neurons.length) return `None ${words}.`;
  return html`${count(neurons.length)} ${words}: ${neurons.slice(0, 12).map((neuron) => html`<a key=${neuron}
    href=${to.neuron(index, layer, neuron)}>${neuron}</a> `)}${neurons.length > 12 ? '…' : '.'} `;
}

const Match = ({ data, row }) => html`<li class="match">
  <${Side} index=${data.a.index} layer=${data.a.layer} neuron=${row.neuron} name=${row.name} about=${row.a} />
  <p class="match-r">${row.match ? html`r ${number(row.match.correlation)}` : 'no match'}</p>
  ${row.match && html`<${Side} index=${data.b.index} layer=${data.b.layer} neuron=${row.match.neuron} name=${row.match.name} about=${row.match} />`}</li>`;

const Side = ({ index, layer, neuron, name, about }) => html`<div>
  ${about.state === 'dead' ? html`<${DeadTiles} link=${to.neuron(index, layer, neuron)} />`
    : html`<${Tiles} src=${tilesOf(index, layer, neuron)} layer=${`${layer} in ${index}`} neuron=${neuron} columns=${2} rows=${2}
      link=${to.neuron(index, layer, neuron)} />`}
  <p class="card-line"><b>${neuron}</b><${State} state=${about.state} /></p>${name ? html`<${Category} of=${{ name }} />`
    : html`<p class="card-class">${about.best_class ?? ' '}</p>`}</div>`;
