/** A layer as a wall of its neurons. */

import { count, fieldWords, number, percent, STATES } from '../lib/format.js';
import { useJson, useSparse } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { change, go } from '../lib/route.js';
import { ByText, FiringFor } from '../parts/by-text.js';
import { Choice, classOptions, Segmented, Typed } from '../parts/controls.js';
import { asMade } from '../parts/groups.js';
import { html } from '../parts/html.js';
import { MadeWall } from '../parts/made-wall.js';
import { CardWaiting, NeuronCard } from '../parts/neuron-card.js';
import { Empty, Failure, Loading } from '../parts/states.js';
import { Wall, WallFailure } from '../parts/wall.js';

const PAGE = 100;

/** What the wall is sorted by: its name, how a value reads, and which end comes first. */
const SORTS = {
  neuron: ['number', () => '', 'asc'],
  auc_at_least: ['AUC for the best class, at least', (neuron) => `AUC ≥ ${number(neuron.auc_at_least)}`, 'desc'],
  auc: ['AUC for the best class', (neuron) => `AUC ${number(neuron.auc)}`, 'desc'],
  selectivity: ['class selectivity', (neuron) => number(neuron.selectivity), 'desc'],
  entropy: ['entropy of top classes', (neuron) => `${number(neuron.entropy)} bit`, 'asc'],
  maximum: ['highest activation', (neuron) => number(neuron.maximum), 'desc'],
  mean: ['mean activation', (neuron) => number(neuron.mean), 'desc'],
  std: ['standard deviation', (neuron) => number(neuron.std), 'desc'],
  firing_images: ['images it fires on', (neuron) => percent(neuron.firing_images), 'desc'],
  positive_images: ['images it is positive on', (neuron) => percent(neuron.positive_images), 'desc'],
  positive_cells: ['cells it is positive at', (neuron) => percent(neuron.positive_cells), 'desc'],
};

/** Those that a layer has only where its scores were worked out. */
const SCORES = {
  clarity: ['clarity: how alike its patches are', (neuron) => `clarity ${number(neuron.clarity)}`, 'desc'],
  polysemanticity: ['polysemanticity: groups apart', (neuron) => `apart ${number(neuron.polysemanticity)}`, 'desc'],
  redundancy: ['redundancy: its nearest neuron', (neuron) => `${number(neuron.redundancy)} to ${neuron.nearest ?? 'none'}`, 'desc'],
};

export function LayerView({ index, layer, query }) {
  const all = { ...SORTS, ...SCORES };
  const sort = query.get('sort') in all ? query.get('sort') : 'neuron';
  const order = query.get('order') ?? all[sort][2];
  const [least, most] = sort === 'neuron' ? [null, null] : [query.get('least'), query.get('most')];
  const [state, name, text] = [query.get('state'), query.get('class'), query.get('text')];
  const shown = query.get('show') === 'made' ? 'made' : 'patches';
  const about = useJson(api.layer(index, layer));
  const classes = useJson(withQuery(api.classes(index), { limit: 1000 }));
  const url = withQuery(api.neurons(index, layer), { sort, order, state, class: name, least, most });
  const sorts = Object.entries(about.data?.scores || sort in SCORES ? all : SORTS);
  const neurons = useSparse(url, PAGE);
  const again = () => {
    about.retry();
    neurons.retry();
  };
  if (about.error) return html`<${Failure} error=${about.error} retry=${again} />`;
  return html`
    <header class="title"><h1>${layer}</h1>
      <p>${about.data ? shape(about.data) : 'Loading …'} · <a href=${to.atlas(index, layer)}>atlas</a></p>
      ${about.data?.dictionary && html`<p>${dictionaryWords(about.data.dictionary)}</p>`}
      ${about.data?.scores && html`<p>${scoreWords(about.data.scores)}</p>`}</header>
    <div class="controls" role="group" aria-label="Which neurons, and in which order">
      <${Choice} label="Sort by" value=${sort} options=${sorts.map(([key, [label]]) => [key, label])}
        onChange=${(value) => change({ sort: value === 'neuron' ? null : value, order: null, least: null, most: null })} />
      <button class="button order" onClick=${() => change({ order: order === 'asc' ? 'desc' : 'asc' })}
        aria-label=${order === 'asc' ? 'Smallest first; change to largest first' : 'Largest first; change to smallest first'}>
        ${order === 'asc' ? '↑' : '↓'}</button>
      ${sort !== 'neuron' && html`<${Bounds} key=${sort} least=${least} most=${most} />`}
      <${Segmented} label="State" value=${state ?? ''} onChange=${(value) => change({ state: value })}
        options=${[['', 'all'], ...STATES.slice(0, 4).map((one) => [one, one])]} />
      <${Segmented} label="Show" value=${shown} onChange=${(value) => change({ show: value === 'patches' ? null : value })}
        options=${[['patches', 'patches'], ['made', 'made images']]} />
      <${Choice} label="Best class" value=${name} options=${classOptions(classes.data?.items)}
        onChange=${(value) => change({ class: value })} />
      <${Finder} index=${index} layer=${layer} neurons=${about.data?.neurons} />
    </div>
    ${(text || about.data?.links.fires_for) && html`<${ByText} key=${text} text=${text} />`}
    ${text ? html`<${FiringFor} index=${index} layer=${layer} text=${text} />` : html`<${Found} key=${url} index=${index} layer=${layer} neurons=${neurons} value=${all[sort][1]} shown=${shown} />`}`;
}

const shape = (layer) => `${count(layer.neurons)} neurons · map ${layer.height} × ${layer.width} · receptive field `
  + `${fieldWords(layer.receptive_field)}${layer.dead_neurons ? ` · ${count(layer.dead_neurons)} dead` : ''}`;

function Found({ index, layer, neurons, value, shown }) {
  const { total, at, want, error, retry } = neurons;
  if (error && total === null) return html`<${Failure} error=${error} retry=${retry} />`;
  if (total === null) return html`<${Loading} what="Fetching neurons" />`;
  if (total === 0) {
    return html`<${Empty} title="No neuron matches">
      <p><a href=${to.layer(index, layer)}>Show all neurons of ${layer}</a></p></${Empty}>`;
  }
  const label = `Neurons of ${layer}`;
  const counted = html`<p class="quiet" role="status">${count(total)} ${total === 1 ? 'neuron' : 'neurons'}</p>`;
  const failed = error && html`<${WallFailure} error=${error} retry=${retry} />`;
  if (shown === 'made') return html`${counted}<${MadeWall} index=${index} layer=${layer} total=${total} at=${at} want=${want} label=${label} />${failed}`;
  const card = (i) => {
    const neuron = at(i);
    return neuron ? html`<${NeuronCard} index=${index} neuron=${neuron} value=${value(neuron)} />` : html`<${CardWaiting} />`;
  };
  return html`${counted}<${Wall} count=${total} label=${label} least=${150} height=${(width) => width + 52} render=${card}
      want=${want} />${failed}`;
}

/** The statistic that the wall is sorted by, from and to a number. */
const Bounds = ({ least, most }) => html`${[['least', 'From', least], ['most', 'to', most]].map(([key, label, value]) => html`
  <label class="choice" key=${key}><span>${label}</span><${Typed} type="number" step="any" size="6" value=${value}
    onStore=${(text) => change({ [key]: text })} /></label>`)}`;

/** Go to a neuron by its number. */
function Finder({ index, layer, neurons }) {
  const find = (event) => {
    event.preventDefault();
    const wanted = new FormData(event.target).get('neuron');
    if (wanted !== '') go(to.neuron(index, layer, wanted));
  };
  return html`<form class="finder" onSubmit=${find}><label class="choice"><span>Go to neuron</span>
    <input name="neuron" type="number" min="0" max=${neurons ? neurons - 1 : null} inputmode="numeric" required
      placeholder=${neurons ? `0–${neurons - 1}` : ''} /></label><button class="button">Go</button></form>`;
}

/** In which vectors the scores are, and what to see them beside. */
const scoreWords = ({ by, patches, between, encoder }) => `Scores compare ${patches} top patches of each neuron in the vectors of ${by}.`
  + `${asMade(encoder)} Two patches of different neurons have a cosine of ${number(between)}.`;

/** What a dictionary's layer is, and how good it is. */
function dictionaryWords({ layer, method, metrics }) {
  const name = { kmeans: 'k-means', nmf: 'non-negative matrix factorisation', sae: 'a sparse autoencoder' }[method] ?? method;
  const said = `Each neuron is an atom: a direction of ${layer}, found by ${name}.`;
  if (!('r2' in metrics)) return said;
  const stable = 'stability' in metrics ? `, cosine ${number(metrics.stability)} to the atoms of another seed` : '';
  return `${said} On ${count(metrics.vectors)} cells of held-out images: R² ${number(metrics.r2)}, `
    + `${number(metrics.l0)} atoms a cell, ${metrics.dead} unused${stable}.`;
}
