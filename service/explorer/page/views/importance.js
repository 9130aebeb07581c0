/** Which neurons of a layer the network's answers need: what silencing each alone does. */

import { count, many, number, percent } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { editsText, ended, useFresh, useStart } from '../lib/jobs.js';
import { api, tellingLayer, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice, Typed } from '../parts/controls.js';
import { html, useState } from '../parts/html.js';
import { JobStatus } from '../parts/job.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const SHOWN = 50;
const TOGETHER = 10;
const IMAGES = 100;

export function ImportanceView({ index, query }) {
  const about = useJson(api.index(index));
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Opening the index" />`;
  const layer = query.get('layer') ?? tellingLayer(about.data.layers);
  return html`<header class="title"><h1>Importance <small>of the neurons of <a href=${to.layer(index, layer)}>${layer}</a></small></h1>
      <p>What silencing each neuron alone does to the answers.</p></header>
    <${Measured} key=${layer} index=${index} layer=${layer} layers=${about.data.layers} query=${query} />`;
}

function Measured({ index, layer, layers, query }) {
  const id = query.get('job');
  const job = useFresh(id ? api.job(id) : null, ended);
  const [images, setImages] = useState(IMAGES);
  const { start, problem, busy } = useStart();
  const measure = () => start(api.importance(index, layer), { images }, (begun) => change({ layer, job: begun.job }));
  const running = id && !(job.data?.state === 'done' && job.data.current !== false);
  return html`<div class="controls">
      <${Choice} label="Layer" value=${layer} options=${layers.map((one) => [one.layer, one.layer])}
        onChange=${(value) => change({ layer: value, job: null })} />
      <label class="choice"><span>Images</span><${Typed} type="number" min="1" required value=${images}
        onStore=${(text) => setImages(Number(text))} /></label>
      <button class="button" onClick=${measure} disabled=${busy}>Measure</button>
    </div>
    ${problem ? html`<${Failure} error=${problem} />` : job.error ? html`<${Failure} error=${job.error} retry=${job.again} />`
      : running ? job.data && html`<${JobStatus} job=${job.data} again=${job.again} />`
        : html`<${Result} index=${index} layer=${layer} url=${id ? job.data.links.result : api.importance(index, layer)} />`}`;
}

function Result({ index, layer, url }) {
  const { data, error, again } = useFresh(url, () => true);
  if (error?.status === 404) return html`<${Empty} title="Not measured yet"><p>“Measure” starts a job, which takes seconds to minutes.</p></${Empty}>`;
  if (error) return html`<${Failure} error=${error} retry=${again} />`;
  if (!data) return html`<${Loading} what="Fetching the result" />`;
  const worst = data.neurons.slice(0, TOGETHER).map(({ neuron }) => ({ neuron, how: 'silence', value: null }));
  return html`<p>Over ${many(data.images, 'image')} of ${count(data.of)}, of which ${percent(data.accuracy)} are answered with their class${' '}
      · ${data.way} · <a href=${to.whatIf(index, { layer, edits: editsText(worst) })}>What if the first ${worst.length} were silenced?</a></p>
    <div class="table-frame" tabindex="0" role="region" aria-label="Importance of neurons"><table>
      <thead><tr><th>neuron</th><th>accuracy</th><th>own output</th><th>answers changed</th><th><span class="unseen">try</span></th></tr></thead>
      <tbody>${data.neurons.slice(0, SHOWN).map((one) => html`<tr key=${one.neuron}>
        <th scope="row"><a href=${to.neuron(index, layer, one.neuron)}>${one.neuron}${one.name && ` ${one.name}`}</a></th>
        <td>${withError(100 * one.accuracy, one.accuracy_error === null ? null : 100 * one.accuracy_error, ' points')}</td>
        <td>${withError(one.own_output, one.own_output_error)}</td><td>${count(one.changed)}</td>
        <td><a href=${to.whatIf(index, { layer, edits: editsText([{ neuron: one.neuron, how: 'silence', value: null }]) })}>what if</a></td></tr>`)}</tbody>
    </table></div>${data.neurons.length > SHOWN && html`<p class="quiet">The first ${SHOWN} of ${count(data.neurons.length)} neurons; the API has all.</p>`}
    <p class="quiet">Change when the neuron alone is silenced, and its standard error over these images.</p>`;
}

function withError(value, error, unit = '') {
  const sign = value > 0 ? '+' : value < 0 ? '−' : '';
  return `${sign}${number(Math.abs(value))}${error === null ? '' : ` ± ${number(error)}`}${unit}`;
}
