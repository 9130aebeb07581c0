/** The report: what the network has learned, and what that suggests. */

import { count, many, number, percent } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, to } from '../lib/names.js';
import { StateBar, StateLegend } from '../parts/charts.js';
import { html } from '../parts/html.js';
import { Failure, Loading } from '../parts/states.js';

const SHOWN = 6;

export function ReportView({ index }) {
  const url = api.report(index);
  const { data, error, retry } = useJson(url);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Writing the report" />`;
  return html`
    <header class="title"><h1>What ${data.model} has learned</h1>
      <p>${many(data.images, 'image')} in ${many(data.classes, 'class', 'classes')} · to share: ${' '}
        <a href=${withQuery(url, { format: 'html' })}>page</a>, <a href=${withQuery(url, { format: 'markdown' })}>Markdown</a>, ${' '}
        <a href=${url}>JSON</a></p></header>
    ${data.findings.length > 0 && html`<section><h2>Findings</h2>
      <ul class="findings">${data.findings.map((text) => html`<li key=${text}>${text}</li>`)}</ul></section>`}
    ${data.hints.length > 0 && html`<${Hints} index=${index} hints=${data.hints} />`}
    <section><h2>Layers</h2>
      <div class="table-frame" tabindex="0" role="region" aria-label="Layers"><table>
        <thead><tr><th>layer</th><th>neurons</th><th>states</th><th>selective</th><th>dense</th><th>dead</th><th>mean best AUC</th></tr></thead>
        <tbody>${data.layers.map((layer) => html`<tr key=${layer.layer}>
          <th scope="row"><a href=${to.layer(index, layer.layer)}>${layer.layer}</a></th><td>${count(layer.neurons)}</td>
          <td><${StateBar} layer=${layer} /></td>
          ${['selective', 'dense', 'dead'].map((state) => html`<td key=${state}>
            <a href=${to.layer(index, layer.layer, { state })}>${percent(layer[state] / layer.neurons)}</a></td>`)}
          <td>${number(layer.mean_best_auc)}</td></tr>`)}</tbody></table></div>
      <${StateLegend} /></section>
    ${data.confusion && html`<section><h2>Answers</h2>
      <p>${percent(data.confusion.accuracy)} of ${many(data.confusion.images, 'image')} are answered with their class. ${' '}
        <a href=${to.classes(index, { what: 'confusion' })}>The confusion matrix</a> · <a href=${to.mistakes(index)}>the mistakes</a></p></section>`}
    ${data.layers.filter((layer) => layer.classes).map((layer) => html`<${ClassesOf} key=${layer.layer} index=${index} layer=${layer} />`)}`;
}

const Hints = ({ index, hints }) => html`<section><h2>Hints at a shortcut</h2>
  <p class="quiet">Something that stands for a class to the network may be no part of it. Look at the patches: a hint is no proof.</p>
  <ul class="findings">${hints.map((hint) => html`<li key=${hint.text}>${hint.text} ${' '}
    <a href=${to.neuron(index, hint.layer, hint.neuron)}>Patches of neuron ${hint.neuron}</a></li>`)}</ul></section>`;

/** The neuron that a class is judged by, its own where it has one, and how well that tells it: what the list is sorted by. */
const judge = (one) => one.own_neuron ?? one.best_neuron;
const coveredBy = (one) => (one.own_neuron === null ? `none of its own; best AUC ${one.best_auc.toFixed(2)}` : `own AUC ${one.own_auc.toFixed(2)}`);

const ClassesOf = ({ index, layer }) => html`<section><h2>Classes in ${layer.layer}</h2>
  <p class="quiet">${many(layer.classes.uncovered, 'class has', 'classes have')} no neuron that tells it from the rest.</p>
  <div class="two">
    <div><h3>Least covered</h3><ol class="pairs">${layer.classes.least_covered.slice(0, SHOWN).map((one) => html`<li key=${one.class}>
      <a href=${to.class(index, one.class, { layer: layer.layer })}>${one.class}</a>${' '}
      <span class="quiet">${coveredBy(one)}, <a href=${to.neuron(index, layer.layer, judge(one))}>${`neuron ${judge(one)}`}</a></span></li>`)}</ol></div>
    <div><h3>Most similar</h3><ol class="pairs">${layer.classes.most_alike.slice(0, SHOWN).map((one) => html`<li key=${`${one.a} ${one.b}`}>
      <a href=${to.classes(index, { layer: layer.layer, a: one.a, b: one.b })}>${one.a} – ${one.b}</a>${' '}
      <span class="quiet">${one.likeness.toFixed(2)}</span></li>`)}</ol></div>
  </div></section>`;
