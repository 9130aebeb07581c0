/** What the network answers on an indexed image. */

import { percent } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { to } from '../lib/names.js';
import { html } from './html.js';

/** A line under an image's title; nothing until the answer is there. */
export function Answer({ index, url }) {
  const { data } = useJson(url);
  if (!data) return null;
  const verdict = data.rank === null ? '' : data.rank === 1 ? ', its class' : `, not its class (rank ${data.rank}, ${percent(data.own.probability)})`;
  return html`<p class="answer">The network answers ${' '}
    ${data.answers.slice(0, 3).map((answer, n) => html`${n ? ', then ' : ''}<a key=${answer.output}
      href=${to.neuron(index, data.layer, answer.output)}>${answer.name}</a> (${percent(answer.probability)}${n ? '' : verdict})`)}</p>`;
}
