/** Names that a neuron without one could have, with the reason for each, and a button that takes one over. */

import { withQuery, write } from '../lib/api.js';
import { number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { html } from './html.js';
import { say } from './toast.js';

const SHOWN = 3;

/** `about` is `{layer, neuron}`; `onTake` gets a name. */
export function Proposed({ index, about, onTake }) {
  const { data, retry } = useJson(withQuery(api.proposals(index), { ...about, limit: SHOWN }));
  if (!data || !data.items.length) return null;
  const refuse = ({ links, name }) => write('PUT', links.refusal, { ...about, name }, 0)
    .then(() => { say(`${name} is not proposed here again.`); retry(); }, (error) => say(error.detail));
  return html`<ul class="note-proposed" aria-label="Proposed names">${data.items.map((item) => html`<li key=${`${item.by.kind} ${item.name}`}>
    <span>proposed: <b>${item.name}</b> (<${Reason} item=${item} />)</span>
    <button class="button small" onClick=${() => onTake(item.name)}>Take it over</button>
    <button class="button small" onClick=${() => refuse(item)}>Refuse</button>
  </li>`)}</ul>`;
}

function Reason({ item }) {
  const { kind, index, neuron, correlation, mutual, encoder, auc, auc_at_least: least } = item.by;
  if (kind === 'category') return 'the network\'s own name of this output';
  if (kind === 'class') return `a class, AUC ${number(auc)}, at least ${number(least)}`;
  if (kind === 'encoder') return `by ${encoder}, ${auc === null ? 'not checked' : `held-out AUC ${number(auc)}, at least ${number(least)}`}`;
  return html`counterpart <a href=${to.neuron(index, item.layer, neuron)}>${neuron} in ${index}</a>,
    r = ${number(correlation)}${!mutual && ', which another fits better'}`;
}
