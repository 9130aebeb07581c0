/** Names that a neuron without one could have, with the reason for each, and a button that takes one over. */

import { withQuery } from '../lib/api.js';
import { number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { html } from './html.js';

const SHOWN = 3;

/** `about` is `{layer, neuron}`; `onTake` gets a name. */
export function Proposed({ index, about, onTake }) {
  const { data } = useJson(withQuery(api.proposals(index), { ...about, limit: SHOWN }));
  if (!data || !data.items.length) return null;
  return html`<ul class="note-proposed" aria-label="Proposed names">${data.items.map((item) => html`<li key=${item.by.index}>
    <span>proposed: <b>${item.name}</b> (<${Reason} item=${item} />)</span>
    <button class="button small" onClick=${() => onTake(item.name)}>Take it over</button>
  </li>`)}</ul>`;
}

function Reason({ item }) {
  const { index, neuron, correlation, mutual } = item.by;
  return html`counterpart <a href=${to.neuron(index, item.layer, neuron)}>${neuron} in ${index}</a>,
    r = ${number(correlation)}${!mutual && ', which another fits better'}`;
}
