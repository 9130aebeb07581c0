/** All jobs: what they do, how far they are, and a way to end them. */

import { withQuery } from '../lib/api.js';
import { ended, jobWords, useFresh } from '../lib/jobs.js';
import { useJson } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { EndButton, JobProgress } from '../parts/job.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const SHOWN = 100;
const STATES = ['queued', 'running', 'done', 'failed', 'cancelled', 'lost'];

export function JobsView({ query }) {
  const [index, state] = [query.get('index'), query.get('state')];
  const indexes = useJson(api.indexes());
  const url = withQuery(api.jobs(), { index, state, limit: SHOWN });
  const { data, error, again } = useFresh(url, (list) => list.items.every(ended));
  return html`
    <header class="title"><h1>Jobs</h1><p>Work that takes longer than a question. The same work on the same generation of an index is one job.</p></header>
    <div class="controls">
      <${Choice} label="Index" value=${index} options=${[['', 'Any index'], ...(indexes.data?.items ?? []).map((one) => [one.name, one.name])]}
        onChange=${(value) => change({ index: value })} />
      <${Choice} label="State" value=${state} options=${[['', 'Any state'], ...STATES.map((one) => [one, one])]}
        onChange=${(value) => change({ state: value })} />
    </div>
    ${error ? html`<${Failure} error=${error} retry=${again} />` : !data ? html`<${Loading} what="Fetching the jobs" />`
      : !data.items.length ? html`<${Empty} title="No jobs"><p>A <em>What if</em> of an index starts one.</p></${Empty}>`
        : html`<${Table} jobs=${data.items} again=${again} />`}`;
}

const Table = ({ jobs, again }) => html`<div class="table-frame" tabindex="0" role="region" aria-label="Jobs"><table class="jobs">
  <thead><tr><th>what</th><th>state</th><th><span class="unseen">end</span></th><th>index</th><th>asked for</th></tr></thead>
  <tbody>${jobs.map((job) => html`<tr key=${job.job}>
    <th scope="row"><${Title} job=${job} /></th>
    <td><span class="job-state" data-job=${job.state}>${job.cancelling ? 'ending' : job.state}</span> <${JobProgress} job=${job} />
      ${job.detail && html`<span class="quiet job-detail">${job.detail}</span>`}
      ${job.state === 'done' && job.current === false && html`<span class="quiet job-detail">of an older generation</span>`}</td>
    <td><${EndButton} job=${job} label=${`${job.kind}: ${jobWords(job)}`} onEnd=${again} /></td>
    <td><a href=${to.index(job.index)}>${job.index}</a> <span class="quiet">generation ${job.generation}</span></td>
    <td><time datetime=${job.created}>${new Date(job.created).toLocaleString()}</time></td></tr>`)}</tbody></table></div>`;

const VIEWS = {
  'what-if': (job) => to.whatIf(job.index, { job: job.job }),
  why: (job) => to.why(job.index, { layer: job.parameters.layer, job: job.job }),
  fool: (job) => to.image(job.index, job.parameters.image, { made: job.job }),
  dream: (job) => to.image(job.index, job.parameters.image, { made: job.job }),
  art: (job) => to.image(job.index, job.parameters.image, { made: job.job }),
  make: (job) => to.neuron(job.index, job.parameters.layer, job.parameters.neurons[0]),
  importance: (job) => to.importance(job.index, { layer: job.parameters.layer, job: job.job }),
};

const Title = ({ job }) => html`${VIEWS[job.kind] || job.links.result
  ? html`<a href=${VIEWS[job.kind]?.(job) ?? job.links.result}>${job.kind}</a>` : job.kind}
  ${' '}<span class="quiet">${jobWords(job)}</span>`;
