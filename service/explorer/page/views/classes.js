/** How similar the classes are to the network, and how it classifies them; with a pair of classes side by side. */

import { count, many, percent } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tellingLayer, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { MatchedBy } from '../parts/answer.js';
import { Choice, Segmented } from '../parts/controls.js';
import { html, useCallback, useMemo } from '../parts/html.js';
import { Matrix } from '../parts/matrix.js';
import { Pair } from '../parts/pair.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const PAIRS = 12;

export function ClassesView({ index, query }) {
  const about = useJson(api.index(index));
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Opening the index" />`;
  const layer = query.get('layer') ?? tellingLayer(about.data.layers);
  const what = query.get('what') === 'confusion' ? 'confusion' : 'likeness';
  return html`
    <header class="title"><h1>Classes</h1></header>
    <div class="controls">
      <${Segmented} label="Matrix" value=${what} options=${[['likeness', 'likeness'], ['confusion', 'confusion']]}
        onChange=${(value) => change({ what: value === 'likeness' ? null : value })} />
      ${what === 'likeness' && html`<${LayerChoice} layer=${layer} layers=${about.data.layers} />`}
    </div>
    ${about.data.classes < 2
      ? html`<${Empty} title="No classes to tell apart"><p>The images of this index are of ${about.data.classes === 1
          ? 'one class' : 'no class'}. Put them into a folder for each class, and build the index anew.</p></${Empty}>`
      : what === 'likeness' ? html`<${Likeness} index=${index} layer=${layer} query=${query} />`
        : html`<${Confusion} index=${index} layer=${layer} layers=${about.data.layers} query=${query} />`}`;
}

const LayerChoice = ({ layer, layers, label = 'Layer' }) => html`<${Choice} label=${label} value=${layer}
  options=${layers.map((one) => [one.layer, one.layer])} onChange=${(value) => change({ layer: value })} />`;

/** A matrix beside the pair that is chosen in it; `read(a, b)` puts a cell into words, `about(a, b)` stands above the pair. */
function Beside({ index, layer, query, classes, value, signed, read, label, about = () => null, children }) {
  const [a, b] = [query.get('a'), query.get('b')];
  const chosen = classes.includes(a) && classes.includes(b) ? [classes.indexOf(a), classes.indexOf(b)] : null;
  const names = classes.map((name) => [name, name]);
  return html`<div class="split">
    <section class="split-main" aria-label=${label}>
      <${Matrix} size=${classes.length} value=${value} signed=${signed} words=${read} chosen=${chosen} label=${label}
        onChoose=${([row, column]) => change({ a: classes[row], b: classes[column] })} />
      ${children}
    </section>
    <section class="split-side" aria-label="A pair of classes">
      <div class="controls">
        <${Choice} label="Class" value=${a} options=${[['', 'Choose …'], ...names]} onChange=${(name) => change({ a: name })} />
        <${Choice} label="and" value=${b} options=${[['', 'Choose …'], ...names]} onChange=${(name) => change({ b: name })} />
      </div>
      ${chosen && about(...chosen)}
      ${a && b && a !== b ? html`<${Pair} index=${index} layer=${layer} a=${a} b=${b} />`
        : a && a === b ? html`<p>One class: <a href=${to.class(index, a, { layer })}>what ${layer} knows about ${a}</a></p>`
          : html`<${Empty} title="Choose a pair"><p>Click a cell of the matrix, or choose two classes, to see which neurons they
              share and which tell them apart.</p></${Empty}>`}
    </section></div>`;
}

function Likeness({ index, layer, query }) {
  const { data, error, retry } = useJson(api.likeness(index, layer));
  const order = useMemo(() => data && alikeTogether(data.matrix), [data]);
  const value = useCallback((row, column) => data.matrix[order[row]][order[column]], [data, order]);
  const pairs = useMemo(() => data && strongest(data), [data]);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Comparing classes" />`;
  const classes = order.map((i) => data.classes[i]);
  return html`<${Beside} index=${index} layer=${layer} query=${query} classes=${classes} value=${value} signed=${true}
    label=${`Likeness of ${classes.length} classes in ${layer}`}
    read=${(row, column) => `${classes[row]} and ${classes[column]}: ${value(row, column).toFixed(2)}`}>
    <p class="quiet">Cosine of the classes' standardised profiles: -1 blue, 1 orange. Similar classes are next to each other.</p>
    <h2>Most similar</h2><ol class="pairs">${pairs.map(([a, b, likeness]) => html`<li key=${`${a} ${b}`}>
      <button class="link" onClick=${() => change({ a, b })}>${a} – ${b}</button> <span class="quiet">${likeness.toFixed(2)}</span>
    </li>`)}</ol></${Beside}>`;
}

function strongest({ classes, matrix }) {
  const pairs = [];
  for (let row = 0; row < classes.length; row += 1) {
    for (let column = 0; column < row; column += 1) pairs.push([classes[column], classes[row], matrix[row][column]]);
  }
  return pairs.sort((one, other) => other[2] - one[2]).slice(0, PAIRS);
}

/** An order of the classes: each is followed by the most similar one of those that are left. */
function alikeTogether(matrix) {
  const left = new Set(matrix.keys());
  const order = [];
  for (let last = 0; left.size; ) {
    left.delete(last);
    order.push(last);
    last = [...left].reduce((best, i) => (best === -1 || matrix[order.at(-1)][i] > matrix[order.at(-1)][best] ? i : best), -1);
  }
  return order;
}

const TABLED = 60;

/** The matrix with names and numbers; a number leads to its images. */
const ConfusionTable = ({ index, classes, matrix, elsewhere }) => html`<div class="table-frame" tabindex="0" role="region"
  aria-label="Confusion in numbers"><table>
  <thead><tr><th>class ↓ answered →</th>${classes.map((name) => html`<th key=${name} scope="col">${name}</th>`)}<th>others</th></tr></thead>
  <tbody>${classes.map((name, row) => html`<tr key=${name}><th scope="row"><a href=${to.class(index, name)}>${name}</a></th>
    ${classes.map((answered, column) => html`<td key=${answered}>${!matrix[row][column] ? html`<span class="quiet">0</span>` : row === column ? count(matrix[row][column])
      : html`<a href=${to.mistakes(index, { class: name, answered })}>${count(matrix[row][column])}</a>`}</td>`)}
    <td>${count(elsewhere[row])}</td></tr>`)}</tbody></table></div>`;

/** A cell of the matrix, with the ways to its images and to their reasons. */
const Cell = ({ index, name, answered, times, of }) => html`<p>${count(times)} of ${many(of, 'image')} of ${name} answered as ${answered}${times > 0
  && html` · ${name !== answered && html`<a href=${to.mistakes(index, { class: name, answered })}>these mistakes</a> · `}<a
    href=${to.why(index, { class: name, answered })}>why?</a>`}</p>`;

function Confusion({ index, layer, layers, query }) {
  const { data, error, retry } = useJson(api.confusion(index));
  const totals = useMemo(() => data?.matrix.map((row, i) => row.reduce((sum, times) => sum + times, data.elsewhere[i])), [data]);
  const value = useCallback((row, column) => (totals[row] ? data.matrix[row][column] / totals[row] : 0), [data, totals]);
  if (error?.status === 422 || error?.status === 404) {
    return html`<${Empty} title="The network's answers are not known"><p>${error.detail}</p></${Empty}>`;
  }
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Counting answers" />`;
  const { classes, matrix } = data;
  const about = (row, column) => html`<${Cell} index=${index} name=${classes[row]} answered=${classes[column]} times=${matrix[row][column]}
    of=${totals[row]} /><div class="controls"><${LayerChoice} label="Their neurons in" layer=${layer} layers=${layers} /></div>`;
  return html`<${Beside} index=${index} layer=${layer} query=${query} classes=${classes} value=${value} signed=${false} about=${about}
    label=${`Confusion of ${classes.length} classes`}
    read=${(row, column) => `${classes[row]} answered as ${classes[column]}: ${matrix[row][column]} of ${totals[row]}`}>
    <p>${percent(data.accuracy)} of ${count(data.images)} images are answered with their class. Rows are classes, columns
      answers. <a href=${to.mistakes(index)}>All mistakes</a></p>
    <${MatchedBy} way=${data.matched} />
    ${data.unmatched.length > 0 && html`<p class="quiet" title=${data.unmatched.join(', ')}>${many(data.unmatched.length,
      'class matches', 'classes match')} no output of the network (${data.unmatched.slice(0, PAIRS).join(', ')}${data.unmatched.length > PAIRS
      ? ', …' : ''}); their images do not count.</p>`}
    ${data.most_confused.length > 0 && html`<h2>Most confused</h2><ol class="pairs">${data.most_confused.slice(0, PAIRS).map((pair) =>
      html`<li key=${`${pair.class} ${pair.answered}`}>
        <button class="link" onClick=${() => change({ a: pair.class, b: pair.answered })}>${pair.class} → ${pair.answered}</button>${' '}
        <a class="quiet" href=${to.mistakes(index, { class: pair.class, answered: pair.answered })}>${`${many(pair.images, 'image')}, ${percent(pair.share)}`}</a></li>`)}</ol>`}
    ${classes.length <= TABLED && html`<${ConfusionTable} index=${index} classes=${classes} matrix=${matrix} elsewhere=${data.elsewhere} />`}</${Beside}>`;
}
