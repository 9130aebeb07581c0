/** How the layers change over several indexes, in order of training. */

import { queryText } from '../lib/encode.js';
import { useJson } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { go } from '../lib/route.js';
import { html } from '../parts/html.js';
import { Picture } from '../parts/picture.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const WIDE = 760; // as the service draws it

export function TrendView({ query }) {
  const indexes = useJson(api.indexes());
  if (indexes.error) return html`<${Failure} error=${indexes.error} retry=${indexes.retry} />`;
  if (!indexes.data) return html`<${Loading} what="Looking for indexes" />`;
  const names = indexes.data.items.filter((item) => item.ready).map((item) => item.name)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const chosen = query.getAll('index').length ? query.getAll('index') : names;
  const toggle = (name) => go(to.trend(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]), { replace: true, stay: true });
  return html`<header class="title"><h1>Trend</h1><p>Indexes of the same images, in order of training.</p></header>
    <fieldset class="controls"><legend class="unseen">Indexes</legend>${names.map((name) => html`<label key=${name}><input type="checkbox"
      checked=${chosen.includes(name)} onChange=${() => toggle(name)} />${` ${name}`}</label>`)}</fieldset>
    ${chosen.length < 2 ? html`<${Empty} title="A trend needs two indexes"><p>Choose them in the order of training.</p></${Empty}>`
      : html`<${Drawn} chosen=${chosen} />`}`;
}

function Drawn({ chosen }) {
  const asked = queryText(chosen.map((name) => ['index', name]));
  const { data, error, retry } = useJson(`${api.trend()}?${asked}`);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Counting" />`;
  const [columns, rows] = [Math.min(2, data.layers.length), Math.ceil(data.layers.length / 2)];
  return html`${data.verdict.map((text) => html`<p class="words" key=${text}>${text}</p>`)}
    <div style=${{ maxWidth: `${WIDE}px` }}><${Picture} src=${`${api.trend()}.svg?${asked}`} ratio=${Math.max(columns * 380, 460) / (rows * 250 + 28)}
      alt=${`Trend over ${chosen.join(', ')}: ${data.verdict.join(' ')}`} /></div>`;
}
