/** Why the network answers so on the reader's own image, in every layer: a job, which keeps the image for a while. */

import { send } from '../lib/api.js';
import { number } from '../lib/format.js';
import { ended, useFresh } from '../lib/jobs.js';
import { api, tilesOf, to } from '../lib/names.js';
import { html, useState } from './html.js';
import { EndButton, JobStatus } from './job.js';
import { Category, Tiles } from './neuron-card.js';
import { Failure, Loading } from './states.js';

const EACH = 3;

export function WhyLayers({ index, file }) {
  const [begun, setBegun] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const job = useFresh(begun && api.job(begun.job), ended);
  const start = () => {
    setBusy(true);
    setProblem(null);
    send(`${api.uploadWhy(index)}?limit=${EACH}`, file).then(setBegun, setProblem).finally(() => setBusy(false));
  };
  const gone = () => setBegun(null);
  if (problem) return html`<${Failure} error=${problem} retry=${start} />`;
  if (!begun) {
    return html`<p class="why-ask"><button class="button" disabled=${busy} onClick=${start}>Why, in every layer?</button>${' '}
      <span class="quiet">A job, for which the service keeps the image for a while.</span></p>`;
  }
  if (job.error) return html`<${Failure} error=${job.error} retry=${gone} />`;
  if (!job.data) return html`<${Loading} what="Asking" />`;
  if (job.data.state !== 'done' || !job.data.links.result) return html`<${JobStatus} job=${job.data} again=${ended(job.data) ? gone : job.again} />`;
  return html`<section aria-label="Why, in every layer"><h2>Why, in every layer ${' '}<${EndButton} job=${job.data} label="image and result" onEnd=${gone} /></h2>
    <p class="quiet">${`The service keeps the image and this result until ${new Date(job.data.expires).toLocaleTimeString()}, for you alone.`}</p>
    <${Layers} index=${index} url=${job.data.links.result} /></section>`;
}

function Layers({ index, url }) {
  const { data, error, again } = useFresh(url, () => true);
  if (error) return html`<${Failure} error=${error} retry=${again} />`;
  if (!data) return html`<${Loading} what="Fetching the result" />`;
  return data.layers.map((said) => html`<section key=${said.layer}>
    <h3>${said.layer} <small class="quiet">${`${said.for.name}: ${number(said.value)}`}</small></h3>
    <div class="two"><${Side} index=${index} said=${said} items=${said.up} words="pushed it up" />
      <${Side} index=${index} said=${said} items=${said.down} words="pushed it down" /></div></section>`);
}

const Side = ({ index, said, items, words }) => html`<div><p class="quiet">${items.length ? words : `None ${words}.`}</p>
  <ul class="alike">${items.map((one) => html`<li key=${one.neuron}>
    <${Tiles} src=${tilesOf(index, said.layer, one.neuron)} layer=${said.layer} neuron=${one.neuron} columns=${2} rows=${2}
      link=${to.neuron(index, said.layer, one.neuron)} />
    <p class="card-line"><b>${one.neuron}</b><span class="card-value" title="Gradient times activation">${number(one.contribution)}</span></p>
    <${Category} of=${one} /></li>`)}</ul></div>`;
