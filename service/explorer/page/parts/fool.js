/** The smallest change of an image that the network answers otherwise: before and after, and the neurons that turned. */

import { many, number, percent } from '../lib/format.js';
import { useStart } from '../lib/jobs.js';
import { api, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { html, useState } from './html.js';
import { Followed } from './job.js';
import { Tiles } from './neuron-card.js';
import { Picture } from './picture.js';
import { Failure } from './states.js';

const SHOWN = 4;

export function Fool({ index, image, query }) {
  const { start, problem, busy } = useStart();
  const id = query.get('fool');
  const fool = () => start(api.fool(index, image), {}, (begun) => change({ fool: begun.job }));
  if (problem) return html`<${Failure} error=${problem} />`;
  if (!id) return html`<p class="why-ask"><button class="button" onClick=${fool} disabled=${busy}>Fool the network</button></p>`;
  return html`<section class="fool" aria-label="Fooled">
    <h2>Fooled <button class="button small" onClick=${() => change({ fool: null })}>Close</button></h2>
    <${Fooling} index=${index} id=${id} /></section>`;
}

function Fooling({ index, id }) {
  return html`<${Followed} url=${api.job(id)} show=${(data) => html`<${Result} index=${index} data=${data} />`} />`;
}

function Result({ index, data }) {
  const turned = data.turning.flatMap((layer) => layer.strongest.slice(0, SHOWN));
  return html`<p>${answer(data.answer_before)} → ${answer(data.answer_after)}${data.fooled ? '' : ': no change was found that does it'}</p>
    <${BeforeAfter} before=${data.links.before} after=${data.links.after} />
    <p class="quiet">${data.norm} of the change ${number(data.distance)}, with 8 bits a colour ${number(data.distance_kept)}, for colours from 0 to 1.
      Of moved, turned and scaled views ${percent(data.same_after)} are answered so; of the original’s ${percent(data.same_before)} as it is.</p>
    <h3>Neurons that turned</h3>
    <p class="quiet">${data.turning.map((one) => `${one.layer}: ${many(one.on, 'neuron')} on, ${one.off} off`).join(' · ')}</p>
    <ul class="alike">${turned.map((one) => html`<li key=${`${one.layer} ${one.neuron}`}>
      <${Tiles} src=${tilesOf(index, one.layer, one.neuron)} layer=${one.layer} neuron=${one.neuron} columns=${2} rows=${2}
        link=${to.neuron(index, one.layer, one.neuron)} />
      <p class="card-line"><b>${one.neuron}</b> <span class="quiet">${one.layer}</span>
        <span class="card-value" title="Peak before and after">${number(one.before)} → ${number(one.after)}</span></p></li>`)}</ul>`;
}

/** Two pictures of one size, of which a slider shows more of the one or the other. */
function BeforeAfter({ before, after }) {
  const [share, setShare] = useState(50);
  return html`<div class="before-after">
    <div class="before-after-pictures"><${Picture} src=${before} alt="Before" />
      <div class="before-after-over" style=${{ clipPath: `inset(0 0 0 ${share}%)` }}><${Picture} src=${after} alt="After" /></div></div>
    <label class="choice"><span>before</span><input type="range" min="0" max="100" value=${share} aria-label="How much of the picture is shown as before"
      onInput=${(event) => setShare(Number(event.target.value))} /><span>after</span></label></div>`;
}

const answer = ({ name, confidence }) => html`<b>${name}</b> <span class="quiet">${percent(confidence)}</span>`;
