/** Why a group of images is answered so: the neurons of a layer that pushed an output up or down, on the mean over it. */

import { count, many, number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { editsText, ended, useFresh, useStart } from '../lib/jobs.js';
import { api, tellingLayer, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { JobStatus } from '../parts/job.js';
import { called, Tiles } from '../parts/neuron-card.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const EACH = 8;
const SAMPLE = 32;
const TOGETHER = 5;

export function WhyView({ index, query }) {
  const about = useJson(api.index(index));
  const job = useFresh(query.get('job') ? api.job(query.get('job')) : null, ended);
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data || (query.get('job') && !job.data && !job.error)) return html`<${Loading} what="Opening the index" />`;
  const layers = about.data.layers.filter((one) => one.layer !== about.data.output);
  if (about.data.output === null || !layers.length) {
    return html`<h1>Why</h1><${Empty} title="The network's answers are not known"><p>They are where the layer that the network returns is
      indexed, and a layer before it.</p></${Empty}>`;
  }
  return html`<${Group} index=${index} query=${query} layers=${layers} links=${about.data.links} job=${job} />`;
}

/** What is asked for: as the URL says, else as the job says. */
function asked(query, layers, job) {
  const known = query.has('class') || query.has('answered') ? null : job?.parameters ?? null;
  return {
    layer: query.get('layer') ?? known?.layer ?? tellingLayer(layers),
    class: query.get('class') ?? known?.class ?? null,
    answered: query.get('answered') ?? known?.answered ?? null,
    images: known?.images ?? null,
  };
}

function Group({ index, query, layers, links, job }) {
  const wanted = asked(query, layers, job.data);
  const scores = useJson(links.scores ?? null);
  const { start, problem, busy } = useStart();
  const names = (scores.data?.classes ?? []).map((one) => [one.class, one.class]);
  const set = (part) => change({ layer: wanted.layer, class: wanted.class, answered: wanted.answered, ...part, job: null });
  const run = () => start(api.why(index, wanted.layer), bodyOf(wanted), (begun) => change({ layer: wanted.layer, class: wanted.class,
    answered: wanted.answered, job: begun.job }));
  const chosen = wanted.images !== null || wanted.class !== null || wanted.answered !== null;
  const failed = problem ?? job.error;
  return html`<header class="title"><h1>Why <small>${groupWords(wanted)}</small></h1>
      <p>The neurons that pushed the answer up or down, on the mean over a group of images.${' '}
        <a href=${to.mistakes(index, { class: wanted.class, answered: wanted.answered })}>Its mistakes</a></p></header>
    <div class="controls">
      <${Choice} label="Class" value=${wanted.class} options=${withAsked([['', 'Any class'], ...names], wanted.class)} onChange=${(value) => set({ class: value })} />
      <${Choice} label="Answered as" value=${wanted.answered} options=${withAsked([['', 'Any answer'], ...names], wanted.answered)}
        onChange=${(value) => set({ answered: value })} />
      <${Choice} label="Neurons of" value=${wanted.layer} options=${layers.map((one) => [one.layer, one.layer])}
        onChange=${(layer) => set({ layer })} />
      <button class="button run" onClick=${run} disabled=${busy || !chosen} aria-busy=${busy}>Explain</button></div>
    ${failed ? html`<${Failure} error=${failed} />`
      : job.data ? html`<${Shown} index=${index} job=${job.data} again=${job.again} run=${run} />`
        : html`<${Empty} title="Not explained yet"><p>${chosen ? `“Explain” starts a job over at most ${SAMPLE} of these images.`
          : 'Choose a class, an answer, or both.'}</p></${Empty}>`}`;
}

const bodyOf = ({ class: name, answered, images }) => ({
  ...(images ? { images } : {}), ...(name ? { class: name } : {}), ...(answered ? { answered } : {}), limit: EACH, sample: SAMPLE,
});

/** The options, with the value asked for among them, which a URL may name. */
const withAsked = (options, value) => (!value || options.some(([option]) => option === value) ? options : [...options, [value, value]]);

function groupWords({ class: name, answered, images }) {
  if (images) return many(images.length, 'image');
  return [name && `images of ${name}`, answered && `answered as ${answered}`].filter(Boolean).join(' ');
}

function Shown({ index, job, again, run }) {
  const rerun = html`<p class="more"><button class="button" onClick=${run}>Run again</button></p>`;
  if (job.state !== 'done') return html`<${JobStatus} job=${job} again=${again} />${ended(job) && rerun}`;
  if (job.current === false) return html`<p>This result is of generation ${job.generation}; another is served now.</p>${rerun}`;
  return html`<${Result} index=${index} url=${job.links.result} />`;
}

function Result({ index, url }) {
  const { data, error, retry } = useJson(url);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Fetching the result" />`;
  const what = data.for ? data.for.name : 'The answer of each';
  const explained = data.against ? `${what} less ${data.against.name}` : what;
  const strongest = data.up.slice(0, TOGETHER).map(({ neuron }) => ({ neuron, how: 'silence', value: null }));
  const list = (items) => html`<${List} index=${index} data=${data} items=${items} />`;
  return html`<p>${explained}: ${number(data.value)} in the mean over ${many(data.images, 'image')}${data.images < data.of
      ? `, a sample of ${count(data.of)}` : ''} · ${data.way}${strongest.length > 0 && html` · <a
      href=${to.whatIf(index, { layer: data.layer, edits: editsText(strongest) })}>What if the ${many(strongest.length, 'neuron')} that pushed most
      were silent?</a>`}</p>
    <p class="quiet">Listed by gradient × activation, an estimate; “without it” is the exact change when that neuron alone is silenced.
      Each with its standard error over these images.</p>
    <div class="two">
      <section><h2>Pushed it up</h2>${list(data.up)}</section>
      <section><h2>Pushed it down</h2>${list(data.down)}</section></div>
    <p class="quiet">Images: ${data.image_ids.map((id, n) => html`${n ? ', ' : ''}<a key=${id} href=${to.image(index, id, { why: data.layer,
      for: data.for?.output, against: data.against?.output })}>${id}</a>`)}</p>`;
}

function List({ index, data, items }) {
  if (!items.length) return html`<p class="quiet">None.</p>`;
  return html`<ul class="firing">${items.map((one) => html`<li key=${one.neuron}>
    <div class="firing-line">
      <a href=${to.neuron(index, data.layer, one.neuron)}>Neuron <b>${one.neuron}</b>${called(one) && ` ${called(one)}`}</a>
      <span title="Gradient times activation, summed over its map: an estimate">${signed(one.contribution, one.contribution_error)}</span>
      <span class="quiet" title="The exact change when it alone is silenced">without it ${signed(one.effect, one.effect_error)}</span></div>
    <${Tiles} src=${tilesOf(index, data.layer, one.neuron)} layer=${data.layer} neuron=${one.neuron} columns=${6} rows=${1}
      link=${to.neuron(index, data.layer, one.neuron)} /></li>`)}</ul>`;
}

const signed = (value, error) => (value === null ? '–'
  : `${value > 0 ? '+' : ''}${number(value)}${error === null ? '' : ` ± ${number(error)}`}`);
