/** Neurons of a layer that fire for what a text says. */

import { count, number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { html } from './html.js';
import { Category, Tiles } from './neuron-card.js';
import { Failure, Loading } from './states.js';

const SHOWN = 48;

/** Where the text is written; an empty one leads back to all neurons. It needs a key of the text, as what is typed stays. */
export function ByText({ text }) {
  const ask = (event) => {
    event.preventDefault();
    change({ text: new FormData(event.target).get('text').trim() || null });
  };
  return html`<form class="controls finder" onSubmit=${ask}><label class="choice"><span>Fires for</span>
    <input name="text" type="search" maxlength="200" size="32" defaultValue=${text ?? ''} placeholder="a photo of a wheel" /></label>
    <button class="button">Find</button>
    ${text && html`<button class="button" type="button" onClick=${() => change({ text: null })}>All neurons</button>`}</form>`;
}

/** The neurons that it finds, the highest score first. */
export function FiringFor({ index, layer, text }) {
  const { data, error, retry } = useJson(withQuery(api.firesFor(index, layer), { text, limit: SHOWN }));
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Encoding the text" />`;
  return html`<p class="quiet" role="status">${beside(data)}</p>
    <ul class="cards" aria-label=${`Neurons of ${layer} that fire for “${data.text}”`}>
      ${data.items.map((item) => html`<li key=${item.neuron}><${Card} index=${index} item=${item} /></li>`)}</ul>`;
}

function Card({ index, item }) {
  const link = to.neuron(index, item.layer, item.neuron);
  const checked = item.auc === null ? 'not checked: it has too few patches'
    : `AUC ${number(item.auc)} on patches that the score did not use, at least ${number(item.auc_at_least)}`;
  return html`<article class="card">
    <${Tiles} src=${tilesOf(index, item.layer, item.neuron)} layer=${item.layer} neuron=${item.neuron} link=${link} />
    <p class="card-line"><b>${item.neuron}</b><span class="card-value" title=${checked}>${item.score.toFixed(3)}
      ${item.auc !== null && ` · AUC ${number(item.auc)}`}</span></p>
    <${Category} of=${item} /></article>`;
}

/** What the scores are to be seen beside, and what they are made of. */
const beside = ({ total, mean, deviation, patches, wanted, encoder }) => `${count(total)} neurons have a score, `
  + `${mean.toFixed(3)} on average with a standard deviation of ${deviation.toFixed(3)}. By ${encoder.name}; AUC: on patches `
  + `that the score did not use.${patches < wanted ? ` ${count(wanted - patches)} of ${count(wanted)} top patches have no vector yet.` : ''}`;
