/** What the network answers on an image, and how far that can be trusted. */

import { percent } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { to } from '../lib/names.js';
import { html } from './html.js';

const SHOWN = 3;

/** The answer on an indexed image, fetched from `url`; nothing until it is there. */
export function Answer({ index, url }) {
  const { data } = useJson(url);
  if (!data) return null;
  const verdict = data.rank === null ? '' : data.rank === 1 ? ', its class' : `, not its class (rank ${data.rank}, ${percent(data.own.probability)})`;
  return html`<${Said} index=${index} said=${data} verdict=${verdict} />`;
}

/** The highest outputs in a line; `verdict` follows the first. */
export const Said = ({ index, said, verdict = '' }) => html`<p class="answer">The network answers${' '}
  ${said.answers.slice(0, SHOWN).map((answer, n) => html`${n ? ', then ' : ''}<a key=${answer.output}
    href=${to.neuron(index, said.layer, answer.output)}>${answer.name}</a> (${percent(answer.probability)}${n ? '' : verdict})`)}</p>`;

/** A warning where classes were matched with outputs by nothing but their order. */
export const MatchedBy = ({ way }) => way === 'order' && html`<p class="quiet">Classes were matched with the network's outputs by their
  order, as was said. If a class was renamed, added or left out since training, these figures are false.</p>`;
