/** What a what-if found: accuracy, recalls and confusion before and after, and the images whose answer changed. */

import { withQuery } from '../lib/api.js';
import { count, fileName, many, number, percent } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { to } from '../lib/names.js';
import { MatchedBy } from './answer.js';
import { Segmented } from './controls.js';
import { html, useState } from './html.js';
import { Picture } from './picture.js';
import { Failure, Loading, More } from './states.js';

const PAGE = 24;
const PAIRS = 8;

export function WhatIfResult({ index, url }) {
  const { data, error, retry } = useJson(url);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Fetching the result" />`;
  return html`
    <section class="verdict" aria-label="Accuracy" aria-live="polite"><dl class="facts facts-large">
      <div><dt>accuracy before</dt><dd>${percent(data.accuracy_before)}</dd></div>
      <div><dt>after</dt><dd>${percent(data.accuracy_after)}</dd></div>
      <div><dt>change</dt><dd>${points(data.accuracy_after, data.accuracy_before)}</dd></div>
      <div><dt>answers changed</dt><dd>${count(data.changed.total)} of ${count(data.images)}</dd></div>
    </dl><p class="quiet">${many(data.judged, 'image')} with a class that stands for an output · ${data.way} · ${precision(data)}</p></section>
    <div class="two"><${Recalls} index=${index} data=${data} /><${Pairs} data=${data} /></div>
    <${ChangedImages} index=${index} data=${data} />
    <${MatchedBy} way=${data.matched} />`;
}

/** The change of a share in percentage points. */
function points(after, before) {
  if (after === null || before === null) return '–';
  const change = 100 * (after - before);
  return `${change > 0 ? '+' : change < 0 ? '−' : '±'}${Math.abs(change).toFixed(1)} points`;
}

function precision(data) {
  if (data.exact) return 'at full precision';
  const rounding = data.rounding_after;
  const edited = rounding ? `; after the change up to ${number(rounding.largest)} (${many(rounding.images, 'image')} compared)` : '';
  return `kept maps are rounded: an output differs by up to ${number(data.rounding_before?.largest)}${edited}`;
}

function Recalls({ index, data }) {
  const change = (one) => (one.recall_after ?? 0) - (one.recall_before ?? 0);
  const rows = [...data.classes].sort((a, b) => Math.abs(change(b)) - Math.abs(change(a)));
  return html`<section><h2>Recall of each class</h2>
    <div class="table-frame" tabindex="0" role="region" aria-label="Recall of each class"><table>
      <thead><tr><th>class</th><th>images</th><th>before</th><th>after</th><th>change</th></tr></thead>
      <tbody>${rows.map((one) => html`<tr key=${one.class}><th scope="row"><a href=${to.class(index, one.class)}>${one.class}</a></th>
        <td>${count(one.images)}</td><td>${percent(one.recall_before)}</td><td>${percent(one.recall_after)}</td>
        <td>${points(one.recall_after, one.recall_before)}</td></tr>`)}</tbody></table></div></section>`;
}

/** The cells of the confusion matrix that change most. */
function Pairs({ data }) {
  const names = data.classes.map((one) => one.class);
  const moved = [];
  data.confusion_before.forEach((counts, row) => counts.forEach((before, column) => {
    const after = data.confusion_after[row][column];
    if (row !== column && before !== after) moved.push({ name: names[row], answered: names[column], before, after });
  }));
  moved.sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before)).splice(PAIRS);
  return html`<section><h2>Confusion</h2>
    ${moved.length ? html`<ol class="pairs">${moved.map(({ name, answered, before, after }) => html`<li key=${`${name} ${answered}`}>
      ${name} → ${answered} <span class="quiet">${count(before)} before, ${count(after)} after</span></li>`)}</ol>`
      : html`<p class="quiet">No two classes are confused more, or less, than before.</p>`}</section>`;
}

function ChangedImages({ index, data }) {
  const { total, wrong, right, other } = data.changed;
  const [turned, setTurned] = useState('');
  const [depth, setDepth] = useState(PAGE);
  const list = useList(withQuery(data.links.changed, { turned }), PAGE, depth);
  if (!total) return html`<section><h2>Changed answers</h2><p class="quiet">No answer changes.</p></section>`;
  return html`<section><h2>Changed answers</h2>
    <div class="controls"><${Segmented} label="Answers that turned" value=${turned} onChange=${(value) => { setTurned(value); setDepth(PAGE); }}
      options=${[['', `all ${count(total)}`], ['wrong', `wrong ${count(wrong)}`], ['right', `right ${count(right)}`], ['other', `other ${count(other)}`]]} /></div>
    <ul class="patches">${list.items.map((one) => html`<${ChangedCard} key=${one.image} index=${index} one=${one} />`)}</ul>
    <${More} list=${list} shown=${list.items.length} what="images" onMore=${() => setDepth(depth + 2 * PAGE)} /></section>`;
}

const ChangedCard = ({ index, one }) => html`<li class="patch"><figure>
  <${Picture} src=${withQuery(one.links.picture, { size: 320 })} to=${to.image(index, one.image)}
    alt=${`${fileName(one.path)}, answered as ${one.before_name} before and as ${one.after_name} after`} />
  <figcaption><b class="changed-answer">${one.before_name} → ${one.after_name}</b>
    <span class="quiet patch-file" title=${one.path}>${one.class === null ? fileName(one.path) : `class ${one.class}`}</span></figcaption></figure></li>`;
