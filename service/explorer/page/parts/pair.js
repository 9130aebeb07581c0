/** Two classes side by side: the neurons that know both, and those that tell one from the other. */

import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tilesOf, to } from '../lib/names.js';
import { html } from './html.js';
import { Category, Tiles } from './neuron-card.js';
import { Failure, Loading } from './states.js';

const EACH = 6;
const CHANCE = 0.5;

export function Pair({ index, layer, a, b }) {
  const { data, error, retry } = useJson(withQuery(api.pair(index, layer), { a, b, limit: 2 * EACH }));
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Comparing the two" />`;
  const forA = data.apart.filter((one) => one.auc >= CHANCE).slice(0, EACH);
  const forB = data.apart.filter((one) => one.auc < CHANCE).slice(0, EACH);
  const list = (items, words) => html`<${Neurons} index=${index} layer=${layer} items=${items} words=${words} />`;
  return html`<h2><a href=${to.class(index, a, { layer })}>${a}</a> and <a href=${to.class(index, b, { layer })}>${b}</a></h2>
    <p class="quiet">Likeness ${data.likeness.toFixed(2)} in ${layer}.</p>
    <h3>Neurons that know both <small class="quiet">AUC of each</small></h3>
    ${list(data.shared.slice(0, EACH), (one) => `${one.auc_a.toFixed(2)} / ${one.auc_b.toFixed(2)}`)}
    <h3>Higher for ${a}</h3>${list(forA, (one) => `AUC ${one.auc.toFixed(2)}`)}
    <h3>Higher for ${b}</h3>${list(forB, (one) => `AUC ${(1 - one.auc).toFixed(2)}`)}`;
}

/** Neurons as small tiles with a figure each. */
export function Neurons({ index, layer, items, words }) {
  if (!items.length) return html`<p class="quiet">None among the best.</p>`;
  return html`<ul class="alike">${items.map((one) => html`<li key=${one.neuron}>
    <${Tiles} src=${tilesOf(index, layer, one.neuron)} layer=${layer} neuron=${one.neuron} columns=${2} rows=${2}
      link=${to.neuron(index, layer, one.neuron)} />
    <p class="card-line"><b>${one.neuron}</b><span class="card-value">${words(one)}</span></p>
    <${Category} of=${one} /></li>`)}</ul>`;
}
