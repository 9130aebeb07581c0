/** The layers of the network, in order: their shapes, what their cells see, and what their neurons tell. */

import { count, fieldWords, many } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { StateBar, StateLegend } from '../parts/charts.js';
import { html } from '../parts/html.js';
import { Tiles } from '../parts/neuron-card.js';
import { Failure, Loading } from '../parts/states.js';

const BEST = 8;
/** Of so many neurons that tell a class best, those of different classes are shown first. */
const LOOKED_AT = 100;

export function IndexView({ index }) {
  const { data, error, retry } = useJson(api.index(index));
  const report = useJson(data ? data.links.report : null);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Opening the index" />`;
  const states = new Map((report.data?.layers ?? []).map((layer) => [layer.layer, layer]));
  return html`
    <header class="title"><h1>${data.model.name}</h1>
      <p>${many(data.images, 'image')} in ${many(data.classes, 'class', 'classes')}, seen at
        ${' '}${inputOf(data.preprocessing)} pixels · weights <code title=${data.model.weights_sha256}>${data.model.weights_sha256.slice(0, 8)}</code> ·
        generation ${data.generation}</p></header>
    <ol class="layers">${data.layers.map((layer) => html`<${LayerRow} key=${layer.layer} index=${index} layer=${layer}
      states=${states.get(layer.layer)} failed=${report.error} input=${inputSize(data.preprocessing)} />`)}</ol>
    ${states.size > 0 && html`<${StateLegend} />`}
    ${report.data?.findings.length > 0 && html`<section><h2>Conclusions</h2>
      <ul class="findings">${report.data.findings.slice(0, 4).map((text) => html`<li key=${text}>${text}</li>`)}</ul>
      <p><a href=${to.report(index)}>The whole report</a></p></section>`}`;
}

function LayerRow({ index, layer, states, failed, input }) {
  return html`<li class="layer-row">
    <h2><a href=${to.layer(index, layer.layer)}>${layer.layer}</a></h2>
    <${FieldDrawing} field=${layer.receptive_field} input=${input} />
    <dl class="facts">
      <div><dt>neurons</dt><dd>${count(layer.neurons)}</dd></div>
      <div><dt>map</dt><dd>${layer.height} × ${layer.width}</dd></div>
      <div><dt>receptive field</dt><dd>${fieldWords(layer.receptive_field)}</dd></div>
      <div><dt>stride</dt><dd>${layer.receptive_field.y?.stride ?? '–'}</dd></div>
    </dl>
    <div class="layer-states">
      ${states ? html`<${StateBar} layer=${states} /><p class="layer-shares">${shares(index, layer, states)}</p>`
        : html`<p class="quiet">${failed ? failed.detail : 'Counting …'}</p>`}
    </div>
    <${Best} index=${index} layer=${layer} />
  </li>`;
}

/** A few neurons of a layer: those that tell a class best, by what their AUC is at least; each class once, if it can be. */
function Best({ index, layer }) {
  const { data } = useJson(withQuery(layer.links.neurons, { sort: 'auc_at_least', order: 'desc', limit: LOOKED_AT }));
  const waiting = Array.from({ length: Math.min(BEST, layer.neurons) }, (_, i) => ({ neuron: i, links: null }));
  return html`<ul class="best" aria-label=${`Neurons of ${layer.layer} that tell a class best`}>
    ${(data ? differing(data.items).slice(0, BEST) : waiting).map((one) => html`<li key=${one.neuron}>${one.links
      && html`<${Tiles} src=${one.links.tiles} layer=${layer.layer} neuron=${one.neuron} columns=${2} rows=${2}
        link=${to.neuron(index, layer.layer, one.neuron)} />`}</li>`)}</ul>`;
}

/** Neurons of which the first of each class come first. */
function differing(neurons) {
  const classes = new Set();
  const [first, others] = [[], []];
  for (const one of neurons) {
    const isNew = one.best_class !== null && !classes.has(one.best_class);
    classes.add(one.best_class);
    (isNew ? first : others).push(one);
  }
  return [...first, ...others];
}

const shares = (index, layer, states) => ['selective', 'dense', 'dead'].map((state) => html`<a key=${state}
  href=${to.layer(index, layer.layer, { state })}><span class="state-chip" data-state=${state}>
  ${((states[state] / states.neurons) * 100).toFixed(1)} % ${state}</span></a>`);

/** How much of the input one cell sees, to scale. */
function FieldDrawing({ field, input }) {
  const [height, width] = input;
  const seen = [Math.min(field.y?.size ?? height, height), Math.min(field.x?.size ?? width, width)];
  return html`<svg class="field-drawing" viewBox=${`-2 -2 ${width + 4} ${height + 4}`} aria-hidden="true">
    <rect class="field-input" width=${width} height=${height} />
    <rect class="field-seen" x=${(width - seen[1]) / 2} y=${(height - seen[0]) / 2} width=${seen[1]} height=${seen[0]} /></svg>`;
}

const inputSize = (preprocessing) => preprocessing.crop ?? preprocessing.resize;
const inputOf = (preprocessing) => inputSize(preprocessing).join(' × ');
