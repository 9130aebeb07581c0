/** The smallest change of an image that the network answers otherwise: the answers, and the neurons that turned. */

import { many, number, percent } from '../lib/format.js';
import { tilesOf, to } from '../lib/names.js';
import { html } from './html.js';
import { Category, Tiles } from './neuron-card.js';

const SHOWN = 4;

/** Above the pictures: what it is taken for. */
export const FooledWords = ({ data }) => html`<p>${answer(data.answer_before)} → ${answer(data.answer_after)}${data.fooled ? '' : ': no change was found that does it'}</p>`;

/** Below them: how far it was changed, and which neurons that turned. */
export function FooledFigures({ index, data }) {
  const turned = data.turning.flatMap((layer) => layer.strongest.slice(0, SHOWN));
  return html`<p class="quiet">${data.norm} of the change ${number(data.distance)}, with 8 bits a colour ${number(data.distance_kept)}, for colours from 0 to 1.
      Of moved, turned and scaled views ${percent(data.same_after)} are answered so; of the original’s ${percent(data.same_before)} as it is.</p>
    <h3>Neurons that turned</h3>
    <p class="quiet">${data.turning.map((one) => `${one.layer}: ${many(one.on, 'neuron')} on, ${one.off} off`).join(' · ')}</p>
    <ul class="alike">${turned.map((one) => html`<li key=${`${one.layer} ${one.neuron}`}>
      <${Tiles} src=${tilesOf(index, one.layer, one.neuron)} layer=${one.layer} neuron=${one.neuron} columns=${2} rows=${2}
        link=${to.neuron(index, one.layer, one.neuron)} />
      <p class="card-line"><b>${one.neuron}</b> <span class="quiet">${one.layer}</span>
        <span class="card-value" title="Peak before and after">${number(one.before)} → ${number(one.after)}</span></p><${Category} of=${one} /></li>`)}</ul>`;
}

const answer = ({ name, confidence }) => html`<b>${name}</b> <span class="quiet">${percent(confidence)}</span>`;
