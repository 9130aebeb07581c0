/** One neuron, and the patches that it fires for. */

import { count, number, percent } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Bars, Histogram } from '../parts/charts.js';
import { Choice, classOptions, Segmented, Switch } from '../parts/controls.js';
import { Groups, ScoreFacts } from '../parts/groups.js';
import { html } from '../parts/html.js';
import { Made } from '../parts/made.js';
import { Category, State, Tiles, called } from '../parts/neuron-card.js';
import { Note } from '../parts/note.js';
import { PatchCard, PatchWaiting, VIEWS } from '../parts/patch-card.js';
import { Empty, Failure, Loading, More } from '../parts/states.js';

const PAGE = 12;

export function NeuronView({ index, layer, neuron, query }) {
  const about = useJson(api.neuron(index, layer, neuron));
  const of = useJson(api.layer(index, layer)).data;
  const size = of?.neurons ?? null;
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Fetching the neuron" />`;
  const data = about.data;
  return html`
    <header class="title neuron-title">
      <div><h1>Neuron ${neuron}${called(data) && ` ${called(data)}`} <small>${data.name && data.category && `${data.category} `}of <a href=${to.layer(index, layer)}>${layer}</a></small></h1>
        <p><${State} state=${data.state} /> ${headline(data)}</p></div>
      <nav class="beside" aria-label="Neighbouring neurons">
        <a class="button" href=${to.whatIf(index, { layer, edits: `${neuron}:silence` })}>What if it were silent?</a>
        ${neuron > 0 && html`<a class="button" rel="prev" href=${to.neuron(index, layer, neuron - 1)}>← ${neuron - 1}</a>`}
        ${size !== null && neuron < size - 1 && html`<a class="button" rel="next" href=${to.neuron(index, layer, neuron + 1)}>
          ${neuron + 1} →</a>`}
      </nav>
    </header>
    <div class="split">
      <section class="split-main" aria-label="Top patches"><${Patches} index=${index} data=${data} query=${query}
        effective=${of?.effective_field} />
        ${data.links.groups && html`<${Groups} index=${index} url=${data.links.groups} />`}</section>
      <aside class="split-side"><${Note} index=${index} about=${{ layer, neuron }} onChange=${about.retry} />
        <${ScoreFacts} index=${index} data=${data} scores=${of?.scores} />
        <${About} index=${index} data=${data} query=${query} /></aside>
    </div>`;
}

function headline(data) {
  const parts = [];
  if (data.auc !== null && data.best_class !== null) parts.push(`tells ${data.best_class} from the rest with AUC ${number(data.auc)} (at least ${number(data.auc_at_least)})`);
  parts.push(`fires on ${percent(data.firing_images)} of the images`, `highest activation ${number(data.maximum)}`);
  return parts.join(' · ');
}

function Patches({ index, data, query, effective }) {
  const cells = query.get('cells') === 'all' ? 'all' : 'one';
  const view = VIEWS.some(([name]) => name === query.get('view')) ? query.get('view') : 'around';
  const heat = query.get('heat') === 'true';
  const field = effective && query.get('field') === 'effective' ? 'effective' : 'exact';
  const name = query.get('class');
  const depth = Math.max(PAGE, Number(query.get('depth')) || PAGE);
  const classes = useJson(withQuery(api.classes(index), { limit: 1000 }));
  const url = withQuery(data.links.patches, {
    per_image: cells === 'all' ? 'all' : null, iou: cells === 'all' ? 0.5 : null, class: name,
  });
  const list = useList(url, PAGE, depth);
  const active = list.items.filter((patch) => patch.activation > 0);
  const none = !list.loading && !list.error && active.length === 0;
  const waiting = list.loading ? Math.max(depth - list.items.length, 0) : 0;
  return html`
    <div class="controls" role="group" aria-label="Which patches, and how they are shown">
      <${Segmented} label="Patches" value=${cells} options=${[['one', 'one per image'], ['all', 'all cells']]}
        onChange=${(value) => change({ cells: value === 'one' ? null : value, depth: null })} />
      <${Segmented} label="Show" value=${view} options=${VIEWS}
        onChange=${(value) => change({ view: value === 'around' ? null : value })} />
      <${Switch} label="Heat" on=${heat} onChange=${(on) => change({ heat: on ? 'true' : null })} />
      ${effective && html`<${Switch} label="What matters" on=${field === 'effective'}
        onChange=${(on) => change({ field: on ? 'effective' : null })} />`}
      <${Choice} label="Class" value=${name} options=${classOptions(classes.data?.items)}
        onChange=${(value) => change({ class: value, depth: null })} />
    </div>
    ${field === 'effective' && html`<p class="quiet">Each box holds ${percent(effective.held)} of the mean squared gradient,
      sampled on ${count(effective.images)} images.</p>`}
    ${view === 'mask' && html`<p class="quiet">Dark: what hardly matters to the neuron there, by guided backpropagation, blurred.</p>`}
    ${none ? html`<${NoPatches} data=${data} name=${name} />` : html`
      <ul class="patches">
        ${active.map((patch) => html`<${PatchCard} key=${`${patch.image}-${patch.cell.y},${patch.cell.x}`} index=${index}
          patch=${patch} view=${view} heat=${heat} field=${field} highest=${data.maximum} />`)}
        ${Array.from({ length: waiting }, (_, i) => html`<${PatchWaiting} key=${`waiting-${i}`} />`)}
      </ul>
      <${More} list=${endingAtZero(list, active)} shown=${active.length} what=${cells === 'all' ? 'cells' : 'images'}
        onMore=${() => change({ depth: depth + 2 * PAGE }, { replace: true })} />`}`;
}

/** Patches at or below zero are not shown: the list ends where the first of them has arrived. */
const endingAtZero = (list, active) => (active.length < list.items.length ? { ...list, complete: true, total: null } : list);

const NoPatches = ({ data, name }) => (data.dead
  ? html`<${Empty} title="This neuron is dead"><p>It is positive on no image of the index, so it has no
      patches. Its highest activation is ${number(data.maximum)}.</p></${Empty}>`
  : html`<${Empty} title="Nothing here"><p>The neuron is positive on no image of ${name}.</p></${Empty}>`);

function About({ index, data, query }) {
  const alike = useJson(withQuery(data.links.correlated, { limit: 6 }));
  return html`
    <section aria-label="Made image"><h2>What it would like to see</h2>
      <${Made} key=${`${data.layer} ${data.neuron}`} index=${index} layer=${data.layer} neuron=${data.neuron} /></section>
    <section><h2>Activations</h2><${Histogram} neuron=${data} />
      <dl class="facts">
        <div><dt>mean</dt><dd>${number(data.mean)}</dd></div>
        <div><dt>std</dt><dd>${number(data.std)}</dd></div>
        <div><dt>fires from</dt><dd>${number(data.threshold_0_5)}</dd></div>
        <div><dt>positive at</dt><dd>${percent(data.positive_cells)} of cells</dd></div>
        <div><dt>selectivity</dt><dd>${number(data.selectivity)}</dd></div>
        <div><dt>entropy</dt><dd>${number(data.entropy)} bit</dd></div>
      </dl></section>
    <section><h2>Classes of its top images</h2>
      ${data.top_classes.length ? html`<${Bars} label="Classes of its top images" rows=${classRows(index, data, query)} />`
        : html`<p class="quiet">No image on which it is positive has a class.</p>`}</section>
    ${data.aucs.length > 0 && html`<section><h2>Classes it tells from the rest</h2>
      <${Bars} label="AUC by class" rows=${data.aucs.slice(0, 6).map((one) => ({
        key: one.class, label: one.class, value: Math.max(0, 2 * one.auc - 1), text: one.auc.toFixed(3),
        link: to.class(index, one.class, { layer: data.layer }),
      }))} /><p class="quiet">AUC; a bar begins at chance, 0.5. In the order of what each is at least, given how few images it has.</p></section>`}
    <section><h2>Similar neurons</h2><${Alike} index=${index} layer=${data.layer} alike=${alike} /></section>`;
}

function classRows(index, data, query) {
  const largest = data.top_classes[0].share;
  return data.top_classes.slice(0, 8).map((one) => ({
    key: one.class, label: one.class, value: one.share / largest, text: percent(one.share),
    link: to.neuron(index, data.layer, data.neuron, { ...Object.fromEntries(query), class: one.class, depth: '' }),
  }));
}

function Alike({ index, layer, alike }) {
  if (alike.error) return html`<${Failure} error=${alike.error} retry=${alike.retry} />`;
  if (!alike.data) return html`<${Loading} />`;
  if (!alike.data.items.length) return html`<p class="quiet">Its peak is the same on every image, so it correlates with no other neuron.</p>`;
  return html`<ul class="alike">${alike.data.items.map((one) => html`<li key=${one.neuron}>
    <${Tiles} src=${tilesOf(index, layer, one.neuron)} layer=${layer} neuron=${one.neuron} columns=${2} rows=${2}
      link=${to.neuron(index, layer, one.neuron)} />
    <p class="card-line"><b>${one.neuron}</b><span class="card-value" title="Correlation of peaks">r ${number(one.correlation)}</span></p>
    <${Category} of=${one} />
    </li>`)}</ul><p class="quiet">By the correlation of their peaks over ${count(alike.data.total)} neurons.</p>`;
}
