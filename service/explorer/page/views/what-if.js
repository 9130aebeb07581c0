/** The workbench: neurons silenced, scaled, clamped or set to their mean, and what the network would then answer. */

import { withQuery } from '../lib/api.js';
import { useJson } from '../lib/hooks.js';
import { editsText, ended, HOW, parseEdits, useFresh, useStart } from '../lib/jobs.js';
import { api, tellingLayer, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice, classOptions, Switch, Typed } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { JobStatus } from '../parts/job.js';
import { Tiles } from '../parts/neuron-card.js';
import { Failure, Loading } from '../parts/states.js';
import { WhatIfResult } from '../parts/what-if-result.js';

const VALUED = ['scale', 'clamp'];

export function WhatIfView({ index, query }) {
  const about = useJson(api.index(index));
  const job = useFresh(query.get('job') ? api.job(query.get('job')) : null, ended);
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  // Only the job says what was asked for, where the URL does not. Else all stays while a new job is fetched, with what is being typed.
  if (!about.data || (query.get('job') && !query.has('layer') && !job.data && !job.error)) return html`<${Loading} what="Opening the workbench" />`;
  return html`<${Workbench} index=${index} query=${query} about=${about.data} job=${job} />`;
}

/** What is asked for: as the URL says, else as the job says. */
function asked(query, about, job) {
  const known = job && !query.has('edits') ? job.parameters : null;
  return {
    layer: query.get('layer') ?? known?.layer ?? tellingLayer(about.layers),
    edits: known ? known.edits : parseEdits(query.get('edits')),
    class: query.get('class') ?? known?.class ?? null,
    exact: query.has('exact') ? query.get('exact') === 'true' : known?.exact ?? false,
  };
}

function Workbench({ index, query, about, job }) {
  const wanted = asked(query, about, job.data);
  const { start, problem, busy } = useStart();
  const classes = useJson(withQuery(api.classes(index), { limit: 1000 }));
  // A change of what is asked for leaves the job that is shown behind.
  const set = (part) => change({ ...inUrl({ ...wanted, ...part }), job: null });
  const run = (event) => {
    event?.preventDefault();
    start(api.whatIf(index), wanted, (begun) => change({ ...inUrl(wanted), job: begun.job }));
  };
  const failed = problem ?? job.error;
  return html`
    <header class="title"><h1>What if</h1><p>Change neurons, and see what the network would answer on every image.
      ${' '}<a href=${to.importance(index, { layer: wanted.layer })}>Which neurons of ${wanted.layer} matter most?</a></p></header>
    <form class="bench" onSubmit=${run} aria-label="What is changed">
      <div class="controls">
        <${Choice} label="Layer" value=${wanted.layer} options=${about.layers.map((one) => [one.layer, one.layer])}
          onChange=${(layer) => set({ layer, edits: [] })} />
        <${Choice} label="Images" value=${wanted.class} options=${classOptions(classes.data?.items, 'All images')}
          onChange=${(value) => set({ class: value || null })} />
        <${Switch} label="From the originals (exact, slower)" on=${wanted.exact} onChange=${(exact) => set({ exact })} />
      </div>
      <${Edits} index=${index} layer=${about.layers.find((one) => one.layer === wanted.layer)} edits=${wanted.edits} set=${set} />
      <p><button class="button run" disabled=${busy} aria-busy=${busy}>${busy ? 'Asking …' : 'Run'}</button></p>
    </form>
    ${failed && html`<${Failure} error=${failed} />`}
    ${!failed && job.data && html`<${Shown} index=${index} job=${job} run=${run} />`}`;
}

const inUrl = ({ layer, edits, exact, ...rest }) => ({ layer, edits: editsText(edits), class: rest.class, exact: exact ? 'true' : null });

function Shown({ index, job: { data: job, again }, run }) {
  if (job.state !== 'done') return html`<${JobStatus} job=${job} again=${again} />${ended(job) && html`<p class="more"><button class="button"
    onClick=${run}>Run again</button></p>`}`;
  if (job.current === false) return html`<div class="state" role="status"><p>This result is of generation ${job.generation}; another is served now.</p>
    <button class="button" onClick=${run}>Run again</button></div>`;
  return html`<${WhatIfResult} index=${index} url=${job.links.result} />`;
}

function Edits({ index, layer, edits, set }) {
  const put = (number, part) => set({ edits: edits.map((edit, i) => (i === number ? { ...edit, ...part } : edit)) });
  const field = (event) => event.target.closest('.finder').querySelector('input');
  const add = (event) => {
    const input = field(event);
    const neuron = Number(input.value);
    if (input.value === '' || !input.reportValidity()) return;
    input.value = '';
    if (!edits.some((edit) => edit.neuron === neuron)) set({ edits: [...edits, { neuron, how: 'silence', value: null }] });
  };
  const onKey = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    add(event);
  };
  return html`<ul class="edits">${edits.map((edit, number) => html`<${EditRow} key=${edit.neuron} index=${index} layer=${layer} edit=${edit}
      onChange=${(part) => put(number, part)} onRemove=${() => set({ edits: edits.filter((_, i) => i !== number) })} />`)}</ul>
    ${!edits.length && html`<p class="quiet">No neuron is changed yet. Without a change, no answer changes.</p>`}
    <div class="finder bench-add"><label class="choice"><span>Neuron</span>
      <input type="number" min="0" max=${layer ? layer.neurons - 1 : null} inputmode="numeric" onKeyDown=${onKey}
        placeholder=${layer ? `0–${layer.neurons - 1}` : ''} /></label><button type="button" class="button" onClick=${add}>Add</button></div>`;
}

function EditRow({ index, layer, edit, onChange, onRemove }) {
  const valued = VALUED.includes(edit.how);
  const how = (value) => onChange({ how: value, value: value === 'scale' ? 0.5 : value === 'clamp' ? 1 : null });
  const name = `Neuron ${edit.neuron}`;
  return html`<li class="edit"><div class="edit-tiles">${layer && edit.neuron < layer.neurons && html`<${Tiles} src=${tilesOf(index, layer.layer, edit.neuron)}
      layer=${layer.layer} neuron=${edit.neuron} columns=${2} rows=${2} link=${to.neuron(index, layer.layer, edit.neuron)} />`}</div>
    <b>${name}</b>
    <${Choice} label=${`What is done to neuron ${edit.neuron}`} value=${edit.how} options=${Object.entries(HOW)} onChange=${how} />
    ${valued && html`<label class="choice"><span>Value</span><${Typed} type="number" step="any" required value=${edit.value}
      onStore=${(text) => onChange({ value: Number(text) })} /></label>`}
    <button type="button" class="button small" onClick=${onRemove} aria-label=${`Leave ${name} as it is`}>Remove</button></li>`;
}
